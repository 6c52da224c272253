/** Picks journeys by what a user calls them: an address, an end of a connection, or both of its ends. */
import { UsageError } from '../errors.ts';
import type { JourneyRecord, LegRecord } from './journeys.ts';

const ENDS = /\s*(?:->|>|,|\s)\s*/;

/** One end or two, as the user writes them. */
export function endsOf(text: string): readonly string[] {
  const ends = text.trim().split(ENDS);
  if (text.trim() === '' || ends.length > 2)
    throw new UsageError(
      `--path ${text}: expected ADDRESS, ADDRESS:PORT or two of them: 10.1.0.5>10.2.0.7:80`,
    );
  return ends;
}

/** Journeys with a connection that has all of the ends. Never throws for what is not there: the list is empty. */
export function journeysAt(journeys: readonly JourneyRecord[], ends: readonly string[]): JourneyRecord[] {
  return journeys.filter((journey) => {
    const known = [journey.app, journey.hbone, journey.delivery]
      .filter((leg): leg is LegRecord => leg !== null)
      .flatMap(({ connection }) => connection.split(' > '));
    if (journey.destination !== null) known.push(journey.destination);
    return ends.every((end) => known.some((one) => one === end || addressOf(one) === end));
  });
}

/** 'ADDRESS:PORT' or '[ADDRESS]:PORT' without the port. */
function addressOf(end: string): string {
  return end.slice(0, end.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}
