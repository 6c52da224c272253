/** Why a walk stopped, in a sentence. The only place with such prose: the walk itself keeps a number. */
import type { Dissector } from './dissector.ts';
import { Layers, Stop } from './layers.ts';
import { type Remark, tableName } from './protocol.ts';

/** The remark for a stopped walk, null where it read to the end. Offsets in the frame. */
export function diagnose(dissector: Dissector, layers: Layers, frameStart: number): Remark | null {
  if (layers.stop === Stop.none) return null;
  if (layers.count === 0) {
    return {
      code: 'frame.link-type',
      severity: 'warning',
      layer: -1,
      offset: 0,
      length: 0,
      text: 'nothing is registered for this link type',
    };
  }
  const layer = layers.count - 1;
  const { name, minLength } = dissector.registry.protocols[layers.protocol(layer)];
  const start = layers.start(layer);
  const at = start - frameStart;
  const have = layers.endOf(layer) - start;
  const remark = (
    kind: string,
    severity: Remark['severity'],
    offset: number,
    length: number,
    text: string,
  ): Remark => ({
    code: `${name}.${kind}`,
    severity,
    layer,
    offset,
    length,
    text,
  });
  switch (layers.stop) {
    case Stop.truncated: {
      // A first fragment ends early without the capture having cut anything.
      const what =
        layers.fragment === 1 && layers.endOf(0) === layers.limitOf(0) ? 'first fragment' : 'capture';
      return remark(
        'truncated',
        'note',
        at,
        have,
        layers.partial
          ? `${what} ends ${have} bytes into ${name}, whose header takes ${minLength}`
          : `${what} ends with byte ${layers.endOf(layer) - frameStart}, ${layers.limitOf(layer) - layers.endOf(layer)} before ${name} does`,
      );
    }
    case Stop.malformed:
      if (layers.partial)
        return remark(
          'malformed',
          'error',
          at,
          have,
          `${name} takes at least ${minLength} bytes, what contains it has ${have}`,
        );
      return remark(
        'malformed',
        'error',
        at,
        have,
        `${name} header contradicts itself or the ${layers.limitOf(layer) - start} bytes it is given`,
      );
    case Stop.unknown: {
      if (layers.refused)
        return remark('unknown', 'warning', at, have, `this version or form of ${name} is unknown`);
      const offset = layers.bodyOf(layer) - frameStart;
      return remark(
        'unknown',
        'note',
        offset,
        layers.endOf(layer) - layers.bodyOf(layer),
        `nothing is registered for ${tableName(layers.table)} 0x${layers.key.toString(16)}`,
      );
    }
    case Stop.threw:
      return { ...remark('threw', 'error', at, have, layers.thrown), code: 'plugin.threw' };
    case Stop.tooDeep:
      return remark('too-deep', 'warning', at, have, `more than ${Layers.maximum} layers`);
  }
}
