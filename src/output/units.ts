/** Quantities and numbers as people read them in tables. */

/** A whole number, its digits in groups. `Intl.NumberFormat` would do it, and takes 16 ms of every start. */
export function countText(value: number): string {
  return String(value).replace(/\B(?=(?:\d{3})+$)/g, ',');
}

const SIZES = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Bytes in powers of 1000 with three significant digits. */
export function bytesText(value: number): string {
  let size = value;
  let unit = 0;
  while (size >= 999.5 && unit < SIZES.length - 1) {
    size /= 1000;
    unit++;
  }
  const digits = unit === 0 ? 0 : size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
  return `${size.toFixed(digits)} ${SIZES[unit]}`;
}

/** Seconds with the unit that suits their size. */
export function durationText(seconds: number): string {
  if (seconds === 0) return '0 s';
  if (seconds < 1e-3) return `${(seconds * 1e6).toFixed(0)} us`;
  if (seconds < 1) return `${(seconds * 1e3).toFixed(seconds < 0.01 ? 2 : 1)} ms`;
  if (seconds < 120) return `${seconds.toFixed(2)} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(1)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export function percentText(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** Class and type of an option, "0x0102/80". */
export function optionKeyText(optionClass: number, type: number): string {
  return `0x${optionClass.toString(16).padStart(4, '0')}/${type.toString(16).padStart(2, '0')}`;
}
