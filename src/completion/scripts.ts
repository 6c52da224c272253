/** Shell completion: what the program knows of its commands, as a script for the shell to run without it. */
import type { Command, Option } from 'commander';
import type { Shell } from './shells.ts';

/** What is expected behind an option, or as an argument. */
type Value =
  | { readonly kind: 'none' | 'file' | 'any' }
  /** Names of fields, the last of several in an expression. */
  | { readonly kind: 'fields' }
  | { readonly kind: 'words'; readonly words: readonly string[] };

interface OptionModel {
  readonly names: readonly string[];
  readonly summary: string;
  readonly value: Value;
}

interface CommandModel {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionModel[];
  readonly argument: Value;
}

/** Placeholders of values that are file names. */
const FILES = ['file', 'capture', 'path', 'directory'];
/** Placeholders of values in which names of fields are written. */
const FIELDS = ['expression', 'filter', 'field', 'fields'];

function expectedBy(option: Option): Value {
  // What may follow an option need not: it could as well be the argument.
  if (!option.required) return { kind: 'none' };
  if (option.argChoices) return { kind: 'words', words: option.argChoices };
  const placeholder = /[<[]([^\]>.]+)/.exec(option.flags)?.[1].toLowerCase() ?? '';
  if (FIELDS.includes(placeholder)) return { kind: 'fields' };
  return { kind: FILES.includes(placeholder) ? 'file' : 'any' };
}

function modelOf(command: Command): CommandModel {
  const options = command.createHelp().visibleOptions(command);
  const [argument] = command.registeredArguments;
  return {
    name: command.name(),
    summary: command.summary() || command.description(),
    options: options.map((option) => ({
      names: [option.short, option.long].filter((name) => name !== undefined && name !== null),
      summary: option.description,
      value: expectedBy(option),
    })),
    argument: !argument
      ? { kind: 'none' }
      : argument.argChoices
        ? { kind: 'words', words: argument.argChoices }
        : { kind: 'file' },
  };
}

/** @param fields names of all fields, offered where an expression is written */
export function completionScript(shell: Shell, program: Command, fields: readonly string[]): string {
  const commands = program.commands.map(modelOf);
  return { bash, zsh, fish }[shell](program.name(), commands, [...new Set(fields)].sort());
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

function bash(program: string, commands: readonly CommandModel[], fields: readonly string[]): string {
  const reply = (value: Value) =>
    value.kind === 'words'
      ? `COMPREPLY=($(compgen -W ${quoted(value.words.join('\n'))} -- "$word"))`
      : value.kind === 'fields'
        ? `__${program}_fields "$word"`
        : value.kind === 'file'
          ? `compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$word"))`
          : ':';
  const cases = commands.flatMap(({ name, options, argument }) => {
    const withValues = options.filter(({ value }) => value.kind !== 'none');
    return [
      `    ${name})`,
      ...(withValues.length > 0
        ? [
            '      case $previous in',
            ...withValues.map(({ names, value }) => `        ${names.join('|')}) ${reply(value)}; return ;;`),
            '      esac',
          ]
        : []),
      `      if [[ $word == -* ]]; then COMPREPLY=($(compgen -W ${quoted(options.flatMap(({ names }) => names).join('\n'))} -- "$word"))`,
      `      else ${reply(argument)}; fi ;;`,
    ];
  });
  return `# bash completion of ${program}: ${program} completion bash > ~/.local/share/bash-completion/completions/${program}
__${program}_field_names=${quoted(fields.join('\n'))}

# The field that an expression ends with; what is before it stays.
__${program}_fields() {
  local before=\${1%"\${1##*[!a-zA-Z0-9_.-]}"}
  local name=\${1:\${#before}}
  COMPREPLY=($(compgen -P "$before" -W "$__${program}_field_names" -- "$name"))
  compopt -o nospace 2>/dev/null
}

_${program}() {
  local word=$2 previous=$3 command=\${COMP_WORDS[1]}
  local IFS=$'\\n'
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W ${quoted([...commands.map(({ name }) => name), '--help', '--version'].join('\n'))} -- "$word"))
    return
  fi
  case $command in
${cases.join('\n')}
  esac
}
complete -F _${program} ${program}
`;
}

function zsh(program: string, commands: readonly CommandModel[], fields: readonly string[]): string {
  const plain = (text: string) => text.replace(/[[\]:\\]/g, '\\$&');
  const action = (value: Value) =>
    value.kind === 'words'
      ? `:value:(${value.words.join(' ')})`
      : value.kind === 'fields'
        ? `:fields:_${program}_fields`
        : value.kind === 'file'
          ? ':file:_files'
          : value.kind === 'any'
            ? ':value: '
            : '';
  const cases = commands.flatMap(({ name, options, argument }) => [
    `    ${name})`,
    '      _arguments -S \\',
    ...options.flatMap(({ names, summary, value }) =>
      names.map((each) => `        ${quoted(`*${each}[${plain(summary)}]${action(value)}`)} \\`),
    ),
    `        ${quoted(argument.kind === 'none' ? '*: : ' : `*${action(argument)}`)} ;;`,
  ]);
  return `#compdef ${program}
# zsh completion of ${program}: ${program} completion zsh > _${program}, in a directory of $fpath
_${program}_fields() {
  local -a names=(${fields.join(' ')})
  # The field that an expression ends with; what is before it stays.
  compset -P '*[^a-zA-Z0-9_.-]'
  compadd -S '' -a names
}

_${program}() {
  local -a commands=(
${commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary.replaceAll(':', '\\:')}`)}`).join('\n')}
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
${cases.join('\n')}
  esac
}
if [ "$funcstack[1]" = "_${program}" ]; then _${program} "$@"; else compdef _${program} ${program}; fi
`;
}

function fish(program: string, commands: readonly CommandModel[], fields: readonly string[]): string {
  const string = (text: string) => `'${text.replace(/[\\']/g, '\\$&')}'`;
  const value = (of: Value) =>
    of.kind === 'words'
      ? ` -x -a ${string(of.words.join(' '))}`
      : of.kind === 'fields'
        ? ` -x -a '(__${program}_fields)'`
        : of.kind === 'file'
          ? ' -r -F'
          : of.kind === 'any'
            ? ' -x'
            : '';
  const lines = commands.flatMap(({ name, summary, options, argument }) => {
    const within = `complete -c ${program} -n '__fish_seen_subcommand_from ${name}'`;
    return [
      `complete -c ${program} -n __fish_use_subcommand -f -a ${name} -d ${string(summary)}`,
      ...options.map((option) => {
        const names = option.names.map((each) =>
          each.startsWith('--') ? ` -l ${each.slice(2)}` : ` -s ${each.slice(1)}`,
        );
        return `${within}${names.join('')}${value(option.value)} -d ${string(option.summary)}`;
      }),
      argument.kind === 'words'
        ? `${within} -f -a ${string(argument.words.join(' '))}`
        : `${within}${argument.kind === 'none' ? ' -f' : ' -F'}`,
    ];
  });
  return `# fish completion of ${program}: ${program} completion fish > ~/.config/fish/completions/${program}.fish
# The field that an expression ends with; what is before it stays.
function __${program}_fields
    set -l word (commandline -ct | string trim -l -c \\'\\")
    set -l before (string replace -r '[a-zA-Z0-9_.-]*$' '' -- $word)
    for name in ${fields.join(' ')}
        echo $before$name
    end
end
${lines.join('\n')}
`;
}
