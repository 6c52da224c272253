/** The command line: parses it, runs a command, prints errors. Nothing else ends the process. */
import { createWriteStream, fstatSync } from 'node:fs';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import packageJson from '../package.json' with { type: 'json' };
import type { Context } from '../src/commands/context.ts';
import { SHELLS } from '../src/completion/shells.ts';
import { findConfigs } from '../src/config/find.ts';
import { printable } from '../src/core/text.ts';
import { CaptureError, Interrupted, MemoryError, OutputError, UsageError } from '../src/errors.ts';
import { BACKENDS } from '../src/live/names.ts';
import { FLOW_SORTS, VNI_SORTS } from '../src/sorts.ts';
import { endWithout } from './standard-output.ts';

function positive(text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new InvalidArgumentError('expected a number above 0');
  return number;
}

function count(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) throw new InvalidArgumentError('expected a whole number');
  return number;
}

function snapLength(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1 || number > 262_144)
    throw new InvalidArgumentError('expected a number of bytes up to 262144');
  return number;
}

/** libpcap takes the size in bytes, as a signed 32-bit number. */
function mebibytes(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1 || number > 2047)
    throw new InvalidArgumentError('expected a number of MiB up to 2047');
  return number;
}

function tunnels(text: string): number | 'innermost' {
  if (text === 'innermost') return text;
  const depth = count(text);
  if (depth === 0) throw new InvalidArgumentError('expected a number above 0');
  return depth;
}

function collect(text: string, list: string[] | undefined): string[] {
  return [...(list ?? []), text];
}

/** Plug-ins, of which every command knows. */
function withPlugins(command: Command): Command {
  return command
    .option('--plugin <file>', 'protocols and options of this file, too (repeatable)', collect)
    .option('--config <file>', 'configuration, in place of tunscope.config.* here and in ~/.config/tunscope')
    .option('--no-config', 'without any configuration');
}

/** The formats that every command prints, and its colours. */
function withFormats(command: Command): Command {
  return command
    .addOption(new Option('--json', 'one JSON document').conflicts(['ndjson', 'csv']))
    .addOption(new Option('--ndjson', 'one JSON object per line').conflicts(['json', 'csv']))
    .addOption(new Option('--csv', 'comma-separated values').conflicts(['json', 'ndjson']))
    .addOption(new Option('--color <when>', 'colour').choices(['auto', 'always', 'never']).default('auto'));
}

/** A command over captures, with the options all of them share. */
function captureCommand(program: Command, name: string, summary: string): Command {
  const command = program
    .command(name)
    .summary(summary)
    .description(
      `${summary}.\nCAPTURE is a pcap or pcapng file, also gzip, zstd or lz4, or - for standard input; several are merged by time.`,
    )
    .argument('[CAPTURE...]')
    .option('-i, --interface <name>', 'capture on this interface, or any (repeatable)', collect)
    .option('-f, --capture-filter <bpf>', "capture only what passes tcpdump's filter")
    .option('-s, --snaplen <bytes>', 'capture so much of each packet', snapLength)
    .option('-p, --no-promiscuous-mode', 'capture only what is for this host')
    .option('--buffer <MiB>', 'kernel buffer per interface (default: 64)', mebibytes)
    .addOption(new Option('--backend <name>', 'capture with').choices(['auto', ...BACKENDS]))
    .option('--netns <name>', 'capture in this network namespace; a number is that of a process in it')
    .option('--wait', 'wait for interfaces to come, and to come back')
    .option('-Y, --filter <expression>', "only packets that match, in Wireshark's display filter language")
    .option(
      '-d, --decode-as <rule>',
      'take a port for a protocol, e.g. udp.port==6082,geneve (repeatable)',
      collect,
    )
    .option(
      '--esp-sa <spec>',
      'open ESP: spi=0x1001,aes-gcm=HEX[,dst=ADDRESS], or @FILE (repeatable)',
      collect,
    )
    .option('--macsec-key <spec>', 'open MACsec: key=HEX[,sci=HEX][,an=0], or @FILE (repeatable)', collect)
    .option(
      '--k8s <file>',
      'names of pods, services and nodes: what kubectl get pods,svc,nodes -A -o json prints, or cluster to ask it',
    )
    .option('-c, --count <packets>', 'stop after this many packets (that match)', count)
    .option('--duration <seconds>', 'stop after this much capture time', positive)
    .option('-w, --write <file>', 'also write the packets, as pcapng; - for standard output')
    .option('--rotate <when>', 'of a capture, write a row of files: size:100M,time:60s,files:10')
    .option(
      '--decap [tunnels]',
      'write the innermost frames instead, or those inside so many tunnels',
      tunnels,
    );
  return withFormats(withPlugins(command))
    .option('--limit <records>', 'print at most this many', count)
    .option('-n, --no-names', 'addresses as numbers, even where the capture names them')
    .option('--progress', 'show progress on standard error, even where it is no terminal')
    .option('--no-progress', 'show none');
}

/** A command that lists what is registered. */
function listCommand(program: Command, name: string, summary: string): Command {
  return withFormats(program.command(name).summary(summary).description(`${summary}.`));
}

function workersOption(): Option {
  return new Option('--workers <threads>', 'threads to work with; results do not depend on it').argParser(
    (text) => {
      const threads = count(text);
      if (threads === 0) throw new InvalidArgumentError('expected a number above 0');
      return threads;
    },
  );
}

function intervalOption(): Option {
  return new Option('--interval <seconds>', 'of a capture, print what changed as NDJSON so often').argParser(
    positive,
  );
}

function vniKeyOption(): Option {
  return new Option(
    '--vni-key <mode>',
    'how VNIs tell flows apart: strict, none, or auto, which joins directions with different VNIs',
  )
    .choices(['auto', 'strict', 'none'])
    .default('auto');
}

function build(context: Context, finish: (status: number) => void): Command {
  const program = new Command('tunscope')
    .description('Shows who talks to whom inside Geneve, VXLAN and other tunnels, from packet captures.')
    .version(packageJson.version, '--version')
    .enablePositionalOptions()
    // One line, in the form of all other messages; commander's suggestions come on a line of their own.
    .configureOutput({
      outputError: (text, write) =>
        write(
          `tunscope: ${printable(
            text
              .trimEnd()
              .replace(/^error: |\.$/g, '')
              .replaceAll('\n', ' '),
          )}; see --help\n`,
        ),
    })
    .configureHelp({ showGlobalOptions: false })
    .exitOverride();

  captureCommand(program, 'flows', 'Conversations inside the tunnels, keyed by VNI')
    .addOption(vniKeyOption())
    .addOption(workersOption())
    .option('--count-copies', 'count a packet as often as it was captured, also in several places')
    .option('--idle <seconds>', 'end flows after so long without a packet', positive)
    .option('--active <seconds>', 'end flows so long after they began; what follows is a new one', positive)
    .option('--max-flows <flows>', 'keep at most this many; the longest idle make room', positive)
    .addOption(intervalOption())
    .option('--metrics <address>', 'of a capture, serve totals to Prometheus there, e.g. 127.0.0.1:9464')
    .addOption(
      new Option('--sort <key>', 'order: largest first; first and vni smallest first').choices(FLOW_SORTS),
    )
    .option('--by <fields>', 'group packets by the values of fields instead, e.g. geneve.vni,ovn.egress_port')
    .action(async (files, options) =>
      finish(await (await import('../src/commands/flows.ts')).flows(files, options, context)),
    );
  captureCommand(program, 'vni', 'One row per VNI, and one for untunnelled traffic')
    .addOption(vniKeyOption())
    .addOption(workersOption())
    .option('--count-copies', 'count a packet as often as it was captured, also in several places')
    .option('--idle <seconds>', 'end flows after so long without a packet', positive)
    .option('--active <seconds>', 'end flows so long after they began; what follows is a new one', positive)
    .option('--max-flows <flows>', 'keep at most this many; the longest idle make room', positive)
    .addOption(intervalOption())
    .option('--metrics <address>', 'of a capture, serve totals to Prometheus there, e.g. 127.0.0.1:9464')
    .addOption(new Option('--sort <key>', 'order: largest first; vni smallest first').choices(VNI_SORTS))
    .action(async (files, options) =>
      finish(await (await import('../src/commands/vni.ts')).vni(files, options, context)),
    );
  captureCommand(program, 'packets', 'One line per packet')
    .option('-V, --tree', 'the field tree of each packet')
    .option('-x, --hex', 'the bytes of each packet')
    .option('--diagram', 'the headers of each packet drawn bit by bit, with what they hold')
    .option('--number <number>', 'only the packet with this number', count)
    .option('-l, --line-buffered', 'write each packet at once')
    .addOption(workersOption())
    .option('--tls-keys <file>', 'show HTTP/2 headers inside TLS 1.3: a key log as of SSLKEYLOGFILE')
    .action(async (files, options) =>
      finish(await (await import('../src/commands/packets.ts')).packets(files, options, context)),
    );
  captureCommand(
    program,
    'check',
    'What breaks a rule of the protocols, or works badly, with the packets that show it',
  )
    .addOption(
      new Option('--fail-on <severity>', 'exit with status 3 for findings from this severity on')
        .choices(['error', 'warning', 'note'])
        .default('error'),
    )
    .option('--rule <id>', 'ask this rule only, or those of a group: GNV-05, IST (repeatable)', collect)
    .option('--ignore <id>', 'do not ask this rule or group (repeatable)', collect)
    .option('--metrics <address>', 'of a capture, serve findings by rule to Prometheus there')
    .addOption(
      new Option('--sarif', 'findings as SARIF 2.1.0, for CI systems').conflicts(['json', 'ndjson', 'csv']),
    )
    .action(async (files, options) =>
      finish(await (await import('../src/commands/check.ts')).check(files, options, context)),
    );
  captureCommand(
    program,
    'mesh',
    "What is seen of Istio's ambient mode: mode with evidence, tunnels, journeys",
  )
    .option('--path <flow>', 'draw the journeys through an address, address:port, or two of them: A>B')
    .addOption(intervalOption())
    .option('--tls-keys <file>', 'read CONNECT requests inside HBONE: a key log as of SSLKEYLOGFILE')
    .action(async (files, options) =>
      finish(await (await import('../src/commands/mesh.ts')).mesh(files, options, context)),
    );
  program
    .command('explain')
    .summary('A header bit by bit, a mode of the mesh, or a rule of check')
    .description(
      'Explains geneve, vxlan, ambient or hbone, or a rule such as GNV-05; explain rules lists the rules.',
    )
    .argument('<subject>')
    .action(async (subject) =>
      finish(await (await import('../src/commands/explain.ts')).explain(subject, context)),
    );
  const registered = () => import('../src/commands/registered.ts');
  withPlugins(
    listCommand(program, 'protocols', 'The protocols that are known, and where they are found'),
  ).action(async (options) => finish(await (await registered()).protocols(options, context)));
  withPlugins(
    listCommand(program, 'fields', 'The fields that packets may have, of protocols and of options'),
  ).action(async (options) => finish(await (await registered()).fields(options, context)));
  withPlugins(
    listCommand(program, 'options', 'The tunnel options that are decoded, by class and type'),
  ).action(async (options) => finish(await (await registered()).optionDecoders(options, context)));
  listCommand(program, 'interfaces', 'The interfaces that can be captured on, and what they are')
    .option('--netns <name>', 'those of this network namespace; a number is that of a process in it')
    .action(async (options) =>
      finish(await (await import('../src/commands/interfaces.ts')).interfaces(options, context)),
    );
  withPlugins(program.command('completion'))
    .summary('A script that completes commands, options, values and field names')
    .description('Prints a completion script; its first line says where it belongs.')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .action(async (shell, options) =>
      finish(
        await (await import('../src/commands/completion.ts')).completion(shell, options, program, context),
      ),
    );
  for (const command of program.commands) command.exitOverride();
  program.hook('preAction', async (_, command) => {
    const { config } = command.opts();
    const found =
      typeof config === 'string'
        ? [{ file: config, by: 'name' as const }]
        : config === false
          ? []
          : findConfigs(context.env);
    if (found.length === 0) return;
    const { applyConfigs } = await import('../src/config/apply.ts');
    await applyConfigs(found, program, command, (text) =>
      context.stderr.write(`tunscope: ${printable(text)}\n`),
    );
  });
  return program;
}

/** Standard output. To a file it goes while the next lines are made: writes of `process.stdout` to files block. */
const openStdout = () =>
  fstatSync(1).isFile()
    ? createWriteStream('', { fd: 1, autoClose: false, highWaterMark: 1 << 20 })
    : process.stdout;

async function main(abort: AbortController, stdout: ReturnType<typeof openStdout>): Promise<number> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
  let complete = async () => {};
  endWithout(stdout, () => complete());
  let status = 0;
  const context: Context = {
    stdin: process.stdin,
    stdout,
    stderr: process.stderr,
    env: process.env,
    signal: abort.signal,
    beforeExit(callback) {
      complete = callback;
    },
  };
  try {
    // What follows a bare --decap is a capture: only --decap=2 has a value.
    await build(context, (result) => {
      status = result;
    }).parseAsync(process.argv.map((arg) => (arg === '--decap' ? '--decap=innermost' : arg)));
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof UsageError) {
      const lines = [`tunscope: ${error.message}`, ...error.excerpt];
      process.stderr.write(lines.map((line) => `${printable(line)}\n`).join(''));
      return 2;
    }
    if (error instanceof CaptureError || error instanceof MemoryError || error instanceof OutputError) {
      process.stderr.write(`tunscope: ${printable(error.message)}\n`);
      return 1;
    }
    if (!(error instanceof Interrupted)) throw error;
  }
  return status;
}

/** Does what the arguments say, and sets the status that the process ends with. */
export async function run(): Promise<void> {
  const abort = new AbortController();
  const stdout = openStdout();
  process.exitCode = await main(abort, stdout);
  // A read that waits for a pipe nobody ends would keep the process alive after Ctrl-C; everything is printed by now.
  if (abort.signal.aborted) {
    if (stdout !== process.stdout) await new Promise<void>((resolve) => stdout.end(resolve));
    process.exit();
  }
}
