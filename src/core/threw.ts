/**
 * What code of plug-ins threw while a packet was read. Nothing of it crosses the code that reads packets: a wrapper notes
 * it here and gives a harmless value, and whoever shows the packet asks for it.
 */
import { printable } from './text.ts';

const LONGEST = 200;

let noted: string | null = null;

/** What was thrown, in a few words. */
export function thrownText(plugin: string, error: unknown): string {
  let text: string;
  try {
    text = error instanceof Error ? error.message : String(error);
  } catch {
    text = 'something that has no text';
  }
  return printable(`plug-in ${plugin} threw: ${text.slice(0, LONGEST)}`);
}

export function noteThrown(plugin: string, error: unknown): void {
  noted ??= thrownText(plugin, error);
}

/** The first that was noted since it was last asked for. */
export function takeThrown(): string | null {
  const text = noted;
  noted = null;
  return text;
}
