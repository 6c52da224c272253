import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCapture, openCaptures } from '../../src/capture/open.ts';
import { CaptureError } from '../../src/errors.ts';
import { join, pcapHeader, pcapRecord, readAll, text } from './bytes.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tunscope-'));
afterAll(() => rmSync(folder, { recursive: true }));

const record = pcapRecord(1, 2, text('packet'));
let files = 0;

function write(bytes: Uint8Array): string {
  const file = path.join(folder, `${++files}.bin`);
  writeFileSync(file, bytes);
  return file;
}

function makeFifo(): string {
  const file = path.join(folder, `${++files}.fifo`);
  execFileSync('mkfifo', [file]);
  return file;
}

describe('files that cannot be opened', () => {
  it('are one clear line', async () => {
    await expect(openCapture('/no/such/file')).rejects.toEqual(
      new CaptureError('/no/such/file', 'no such file'),
    );
    await expect(openCapture(folder)).rejects.toThrow(`${folder}: is a directory`);
  });

  it.skipIf(process.getuid?.() === 0)('name a lack of rights', async () => {
    const file = write(pcapHeader());
    chmodSync(file, 0);
    await expect(openCapture(file)).rejects.toThrow('permission denied');
  });

  const hex = (digits: string) => Buffer.from(digits, 'hex');
  const cases = [
    ['text', text('GET / HTTP/1.1\r\n'), 'starts with "GET / HTTP/1.1\\r\\n"'],
    ['bytes', hex('000102030405060708090a'), 'starts with bytes 00 01 02 03 04 05 06 07'],
    ['short', text('x'), 'starts with "x"'],
    ['snoop', text('snoop\0\0\0'), 'a snoop capture; convert it with editcap'],
    ['xz', hex('fd377a585a0000'), 'xz-compressed; unpack it first'],
    ['PowerShell', hex('fffed400c300b200a100'), 'UTF-16 text; PowerShell redirection damages binary output'],
    ['line feeds became CR LF', hex('0d0a0d0d0d0a1c000000'), 'a pcapng file damaged by a text-mode transfer'],
    ['CR LF became line feeds', hex('0a0d0a1c000000'), 'a pcapng file damaged by a text-mode transfer'],
    ['CR went', hex('0a0a1c000000'), 'a pcapng file damaged by a text-mode transfer'],
  ] as const;
  for (const [name, bytes, message] of cases) {
    it(`say what they look like: ${name}`, async () => {
      const opening = openCapture(write(bytes));
      await expect(opening).rejects.toBeInstanceOf(CaptureError);
      await expect(opening).rejects.toThrow(`not a capture: ${message}`);
    });
  }
});

describe('regular files', () => {
  it('end where they end, also while they grow', async () => {
    const file = write(join(pcapHeader(), record));
    const capture = await openCapture(file, { blockSize: 16 });
    expect((await capture.next())?.count).toBe(1);
    appendFileSync(file, record);
    const rest = await readAll(capture);
    expect(rest.length).toBeLessThan(2);
    expect(capture.files[0].damage).toBeNull();
  });

  it('can be closed at any moment, more than once', async () => {
    const file = write(join(pcapHeader(), ...new Array(1000).fill(record)));
    for (const turns of [0, 1, 5]) {
      const capture = await openCapture(file, { blockSize: 64 });
      for (let i = 0; i < turns; i++) await capture.next();
      const pending = capture.next();
      await Promise.all([capture.close(), capture.close()]);
      await pending;
      expect(await capture.next()).toBeNull();
      expect(capture.files[0].damage).toBeNull();
    }
  });

  it('are closed when an iteration is left early', async () => {
    const before = readdirSync('/dev/fd').length;
    const capture = await openCapture(write(join(pcapHeader(), record, record)));
    for await (const batch of capture) {
      expect(batch.count).toBeGreaterThan(0);
      break;
    }
    expect(await capture.next()).toBeNull();
    expect(readdirSync('/dev/fd')).toHaveLength(before);
  });
});

describe('input that fails', () => {
  it('gives what came before, then damage', async () => {
    async function* pieces() {
      yield join(pcapHeader(), record, record.subarray(0, 3));
      throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
    }
    const capture = await openCapture('test', { input: Readable.from(pieces()) });
    // A stream drops what it holds when it fails; packets already handed over stay good.
    const packets = await readAll(capture);
    expect(packets.length).toBeLessThan(2);
    expect(capture.files[0].damage?.text).toBe('input/output error');
  });
});

describe('a FIFO', () => {
  it('is read as it is written', async () => {
    const fifo = makeFifo();
    const opening = openCapture(fifo);
    const writer = await open(fifo, 'w');
    await writer.write(join(pcapHeader(), record, record.subarray(0, 5)));
    const capture = await opening;
    expect((await capture.next())?.count).toBe(1);
    await writer.write(join(record.subarray(5), record));
    expect((await capture.next())?.count).toBe(2);
    await writer.close();
    expect(await capture.next()).toBeNull();
    expect(capture.files[0]).toMatchObject({ packets: 3, damage: null });
    await capture.close();
  });

  it('can be closed while it is waited for', async () => {
    const fifo = makeFifo();
    const opening = openCapture(fifo);
    const writer = await open(fifo, 'w');
    await writer.write(join(pcapHeader(), record));
    const capture = await opening;
    await capture.next();
    const pending = capture.next();
    await capture.close();
    expect(await pending).toBeNull();
    expect(capture.files[0].damage).toBeNull();
    await writer.close();
  });

  it('hands on what is merged before it waits for more', async () => {
    const [quiet, busy] = [makeFifo(), write(join(pcapHeader(), record, pcapRecord(9, 0, text('later'))))];
    const opening = openCaptures([quiet, busy]);
    const writer = await open(quiet, 'w');
    await writer.write(join(pcapHeader(), pcapRecord(5, 0, text('packet'))));
    const capture = await opening;
    expect((await capture.next())?.count).toBe(2);
    await writer.close();
    expect((await capture.next())?.count).toBe(1);
    expect(await capture.next()).toBeNull();
    await capture.close();
  });
});

describe('standard input', () => {
  const script = path.join(folder, 'read.js');

  /** The sources as JavaScript, for a process of its own: Node 20 does not run TypeScript. */
  beforeAll(() => {
    const source = path.resolve(import.meta.dirname, '../../src');
    const compilerOptions = {
      module: ts.ModuleKind.ESNext,
      target: ts.ScriptTarget.ES2023,
      rewriteRelativeImportExtensions: true,
    };
    writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}');
    for (const name of ['capture', 'core']) mkdirSync(path.join(folder, name));
    const names = readdirSync(path.join(source, 'capture')).map((name) => path.join('capture', name));
    for (const name of ['errors.ts', 'core/text.ts', ...names]) {
      const { outputText } = ts.transpileModule(readFileSync(path.join(source, name), 'utf8'), {
        compilerOptions,
      });
      writeFileSync(path.join(folder, name.replace(/ts$/, 'js')), outputText);
    }
    writeFileSync(
      script,
      `import { openCapture } from ${JSON.stringify(pathToFileURL(path.join(folder, 'capture', 'open.js')).href)};
       const capture = await openCapture('-');
       for await (const batch of capture) {
         console.log(batch.count);
         if (process.argv[2] === 'first') break;
       }
       console.log(JSON.stringify(capture.files[0]));`,
    );
  });

  it('hands out packets before the writer ends', async () => {
    const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    child.stdin.write(join(pcapHeader(), record));
    expect((await lines.next()).value).toBe('1');
    child.stdin.write(join(record, record));
    expect((await lines.next()).value).toBe('2');
    child.stdin.end();
    expect(JSON.parse((await lines.next()).value)).toMatchObject({ file: '-', packets: 3, damage: null });
    expect((await once(child, 'exit'))[0]).toBe(0);
  });

  it('does not keep the process when reading stops early', async () => {
    const child = spawn(process.execPath, [script, 'first'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const exit = once(child, 'exit');
    child.stdin.write(join(pcapHeader(), record));
    expect((await exit)[0]).toBe(0);
    child.stdin.destroy();
  });

  it('may be a file', async () => {
    const input = openSync(write(join(pcapHeader(), record, record)), 'r');
    const child = spawn(process.execPath, [script], { stdio: [input, 'pipe', 'inherit'] });
    const lines = createInterface(child.stdout!)[Symbol.asyncIterator]();
    expect((await lines.next()).value).toBe('2');
    expect(JSON.parse((await lines.next()).value)).toMatchObject({ format: 'pcap', packets: 2 });
  });
});
