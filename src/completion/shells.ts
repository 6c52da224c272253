/** Apart from the scripts so that the command line knows them without loading those. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];
