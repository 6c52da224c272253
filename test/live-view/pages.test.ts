/** Text that is scrolled: what is seen of it, whatever keys and sizes there are. */
import { describe, expect, it } from 'vitest';
import { PageView } from '../../src/live-view/pages.ts';

const HEIGHT = 8;
function viewOf(lines: () => string[]) {
  const view = new PageView({ title: () => 'v0  3 packets', lines });
  const shown = (fresh = true) => view.render(20, HEIGHT, fresh).map(({ text }) => text);
  return { view, shown };
}

describe('pages', () => {
  it('fill the screen, whatever there is of text', () => {
    for (const count of [0, 1, 5, 6, 100]) {
      const { shown } = viewOf(() => Array.from({ length: count }, (_, i) => `line ${i}`));
      expect(shown()).toHaveLength(HEIGHT);
      expect(shown()[0]).toBe('v0  3 packets');
      expect(shown().at(-2)).toBe(count > 5 ? `${count - 5} more lines below`.slice(0, 20) : '');
    }
  });

  it('scroll by lines and pages, and stop at both ends', () => {
    const { view, shown } = viewOf(() => Array.from({ length: 12 }, (_, i) => `line ${i}`));
    const topAfter = (...keys: string[]) => {
      for (const key of keys) view.key(key, HEIGHT);
      return shown()[1];
    };
    expect(topAfter('up')).toBe('line 0');
    expect(topAfter('down', 'down')).toBe('line 2');
    expect(topAfter('pagedown')).toBe('line 7');
    expect(topAfter('pagedown')).toBe('line 7');
    expect(topAfter('home')).toBe('line 0');
    expect(topAfter('end')).toBe('line 7');
  });

  it('stand still while paused, and are cut to the width', () => {
    let turn = 0;
    const { view, shown } = viewOf(() => [`turn ${turn++} of a text that is long`]);
    expect(shown()[1]).toBe('turn 0 of a text tha');
    view.key(' ', HEIGHT);
    expect(shown()[1]).toBe('turn 0 of a text tha');
    expect(shown().at(-2)).toBe('paused');
    view.key(' ', HEIGHT);
    expect(shown()[1]).toBe('turn 1 of a text tha');
    expect(shown(false)[1]).toBe('turn 1 of a text tha');
  });

  it.each(['q', '\x03'])('end with %j', (key) => {
    const { view } = viewOf(() => []);
    view.key(key, HEIGHT);
    expect(view.quit).toBe(true);
  });

  it('tell what happened until the next key', () => {
    const { view, shown } = viewOf(() => []);
    view.tell('v0 is down');
    expect(shown().at(-2)).toBe('v0 is down');
    view.key('down', HEIGHT);
    expect(shown().at(-2)).toBe('');
  });
});
