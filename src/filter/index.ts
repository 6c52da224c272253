/** Display filters, and readers of fields by name. */
export { Catalog } from './catalog.ts';
export { FilterError } from './error.ts';
export { compileFilter, type Filter } from './filter.ts';
export { compileReader, type FieldReader } from './reader.ts';
