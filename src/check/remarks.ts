/** Hears what a protocol's `details` remark on, and its options, without making records of its fields. */
import type { Layers } from '../core/layers.ts';
import type { Details, OptionView, Protocol } from '../core/protocol.ts';

const EMPTY = new DataView(new ArrayBuffer(0));

export class RemarkReader implements Details {
  view: DataView = EMPTY;
  layer = 0;
  start = 0;
  body = 0;
  end = 0;
  limit = 0;
  goesOn = false;
  private readonly heard: (code: string, text: string) => void;
  private readonly options: (option: OptionView) => void;

  constructor(heard: (code: string, text: string) => void, options: (option: OptionView) => void = () => {}) {
    this.heard = heard;
    this.options = options;
  }

  read(protocol: Protocol, view: DataView, layers: Layers, layer: number): void {
    this.view = view;
    this.layer = layer;
    this.start = layers.start(layer);
    this.body = layers.bodyOf(layer);
    this.end = layers.endOf(layer);
    this.limit = layers.limitOf(layer);
    this.goesOn = layers.goesOn(layer);
    protocol.details?.(this);
  }

  field(): void {}
  computed(): void {}
  open(): void {}
  close(): void {}
  option(option: OptionView): void {
    this.options(option);
  }
  remark(code: string, _severity: unknown, _offset: number, _length: number, text: string): void {
    this.heard(code, text);
  }
}
