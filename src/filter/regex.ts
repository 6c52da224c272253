/**
 * Regular expressions that no packet can make slow. V8 backtracks: time is exponential where what is repeated can
 * itself be matched in several ways, so that is refused; what remains is a power of the text's length, so the more
 * repetitions a pattern has, the less of a text it is shown.
 */

/** What is wrong with a pattern: to be reported at its place. */
export class PatternError extends Error {}

const MAXIMUM = 256;
/** Characters of a text that are looked at, by the number of open repetitions: at most some 2e8 steps. */
const SHOWN = [65_536, 4096, 1024, 256];

/** What PCRE knows and JavaScript reads as something else, without a word. */
const FOREIGN = /\\(?:x\{|[^\WdDwWsSbBnrtfvxu\d_])|\[\[[:.=]/;

const OPTIONS = /^\(\?([ims]*)(?:-([ims]+))?\)/;
const REPEATED = /^(?:[*+]|\{\d+(?:,(\d*))?\})/;

/** Open repetitions of a pattern. */
function repetitions(pattern: string): number {
  let count = 0;
  /** Per open group whether it can match in several ways; the outermost is the pattern. */
  const groups = [false];
  /** The same of what stands before the current character, where a quantifier would repeat it. */
  let ambiguous = false;
  for (let i = 0; i < pattern.length; ) {
    const character = pattern[i];
    const repeated = REPEATED.exec(pattern.slice(i));
    if (repeated) {
      if (ambiguous)
        throw new PatternError(
          'a group that is repeated cannot hold repetitions or choices: that can take for ever',
        );
      count++;
      groups[groups.length - 1] = true;
      i += repeated[0].length;
      if (pattern[i] === '?') i++;
      continue;
    }
    ambiguous = false;
    i++;
    if (character === '\\') {
      i++;
    } else if (character === '[') {
      while (i < pattern.length && pattern[i] !== ']') i += pattern[i] === '\\' ? 2 : 1;
      i++;
    } else if (character === '(') {
      groups.push(false);
      if (pattern[i] === '?') i++; // of (?:, (?= and the like
    } else if (character === ')') {
      ambiguous = groups.pop() ?? false;
      if (groups.length === 0) groups.push(false);
      if (ambiguous) groups[groups.length - 1] = true;
    } else if (character === '|' || character === '?') {
      groups[groups.length - 1] = true;
    }
  }
  return count;
}

/** A test for `pattern`; upper and lower case are the same unless it begins with (?-i). */
export function textMatcher(pattern: string): (text: string) => boolean {
  if (pattern.length > MAXIMUM) throw new PatternError(`a pattern has at most ${MAXIMUM} characters`);
  const [prefix = '', on = '', off = ''] = OPTIONS.exec(pattern) ?? [];
  const flags = [...new Set(`i${on}`)].filter((flag) => !off.includes(flag)).join('');
  const body = pattern.slice(prefix.length);
  const foreign = FOREIGN.exec(body.replace(/\\\\/g, '..'));
  if (foreign) throw new PatternError(`'${foreign[0]}' is not known in patterns here`);
  let regex: RegExp;
  try {
    regex = new RegExp(body, flags);
  } catch (error) {
    throw new PatternError((error as Error).message.replace(/^Invalid regular expression: .*: /, ''));
  }
  const shown = SHOWN[repetitions(body)];
  if (shown === undefined)
    throw new PatternError(
      `a pattern has at most ${SHOWN.length - 1} repetitions: use several, joined by and`,
    );
  return (text) => regex.test(text.length > shown ? text.slice(0, shown) : text);
}
