/**
 * The worked example of docs/plugins.md for what needs code: a protocol whose entries have lengths of their own.
 *
 *   | entries 16 | length 8 | text | length 8 | text | ...
 */
import { computed, definePlugin, defineProtocol, u16 } from 'tunscope';

const entries = u16('acmejournal.entries', 'Entries', 0);
const entry = computed<string>('acmejournal.entry', 'Entry', 'string', { list: true });

const HEADER = 2;

const journal = defineProtocol({
  name: 'acmejournal',
  title: 'Acme journal',
  reference: 'Acme fabric manual, chapter 11',
  fields: [entries],
  detailFields: [entry],
  minLength: HEADER,
  on: [['udp.port', 7770]],
  application: true,
  step(_view, _start, layers) {
    layers.body = layers.end;
  },
  details(out) {
    const { view, start, end } = out;
    let at = start + HEADER;
    for (let left = entries.read(view, start); left > 0 && at < end; left--) {
      const length = view.getUint8(at);
      if (at + 1 + length > end) {
        out.remark(
          'acmejournal.overrun',
          'error',
          at,
          end - at,
          `an entry of ${length} bytes runs past the end`,
        );
        return;
      }
      let text = '';
      for (let i = 1; i <= length; i++) text += String.fromCharCode(view.getUint8(at + i));
      out.computed(entry, text, at, 1 + length);
      at += 1 + length;
    }
  },
  info: (view, start) => `${entries.read(view, start)} entries`,
});

export default definePlugin({ name: 'acme-journal', protocols: [journal] });
