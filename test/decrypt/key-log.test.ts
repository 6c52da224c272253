import { describe, expect, it } from 'vitest';
import { KeyLog } from '../../src/decrypt/key-log.ts';

const random = 'ab'.repeat(32);
const secret = '01'.repeat(32);

describe('a key log', () => {
  it('is lines of label, client random and secret', () => {
    const log = new KeyLog().add(
      `# comment\r\nCLIENT_TRAFFIC_SECRET_0 ${random} ${secret}\r\nSERVER_TRAFFIC_SECRET_0 ${random.toUpperCase()} ${'02'.repeat(48)}`,
    );
    expect(log.count).toBe(2);
    expect(log.find(random)).toEqual({
      clientApplication: Buffer.from(secret, 'hex'),
      serverApplication: Buffer.alloc(48, 2),
    });
  });

  it.each([
    ['another label', `EXPORTER_SECRET ${random} ${secret}`],
    ['a version 1.2 secret', `CLIENT_RANDOM ${random} ${'03'.repeat(48)}`],
    ['a short random', `CLIENT_TRAFFIC_SECRET_0 ${random.slice(2)} ${secret}`],
    ['a secret of another length', `CLIENT_TRAFFIC_SECRET_0 ${random} ${secret}01`],
    ['what is no hex', `CLIENT_TRAFFIC_SECRET_0 ${random} ${secret.slice(1)}x`],
    ['a label of Object', `constructor ${random} ${secret}`],
    ['a line without end', 'x'.repeat(1 << 20)],
    ['binary', '\0\xff\n\n \n'],
  ])('passes over %s', (_, text) => {
    expect(new KeyLog().add(text).count).toBe(0);
  });

  it('grows while a capture is read', () => {
    const growing: string[] = [];
    const log = new KeyLog(growing);
    expect(log.find(random)).toBeUndefined();
    growing.push(`CLIENT_TRAFFIC_SECRET_0 ${random} ${secret}`);
    expect(log.find(random)?.clientApplication).toHaveLength(32);
  });
});
