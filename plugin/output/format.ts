/** The values of -o, read as kubectl reads them. Loaded with every help, so it loads nothing itself. */
import { UsageError } from '../cli-error.js';

const TEMPLATED = [
  'jsonpath',
  'jsonpath-as-json',
  'jsonpath-file',
  'custom-columns',
  'custom-columns-file',
] as const;
type Templated = (typeof TEMPLATED)[number];

/** `custom-columns=POD:.spec.podName` */
export type TemplateFormat = `${Templated}=${string}`;
/** How to print an object of the API. */
export type ObjectFormat = 'json' | 'yaml' | 'name' | 'wide' | TemplateFormat;
/** How to print what is no object of the API: results, versions. */
export type DataFormat = 'json' | 'yaml' | Extract<TemplateFormat, `jsonpath${string}`>;

export const OBJECT_FORMATS = ['json', 'yaml', 'name', 'wide', ...TEMPLATED] as const;
export const DATA_FORMATS = ['json', 'yaml', 'jsonpath', 'jsonpath-as-json', 'jsonpath-file'] as const;

/** @throws UsageError for what is none of `formats` */
export function readFormat(text: string, formats: readonly string[]): string {
  const name = text.split('=', 1)[0] ?? '';
  const templated = (TEMPLATED as readonly string[]).includes(name);
  if (!formats.includes(name) || (!templated && text !== name)) {
    throw new UsageError(
      `-o cannot be "${text}"; it takes ${formats.map((format) => `"${withValue(format)}"`).join(', ')}.`,
    );
  }
  if (templated && text.length <= name.length + 1) {
    throw new UsageError(`-o ${name} needs what to print: -o ${withValue(name)}`);
  }
  return text;
}

/** For the help: `jsonpath=…`. */
export function withValue(format: string): string {
  return (TEMPLATED as readonly string[]).includes(format) ? `${format}=…` : format;
}

/** The two parts of a format with a template. */
export function templateOf(format: TemplateFormat): { as: Templated; text: string } {
  const at = format.indexOf('=');
  return { as: format.slice(0, at) as Templated, text: format.slice(at + 1) };
}

export function isTemplate(format: string): format is TemplateFormat {
  return (TEMPLATED as readonly string[]).includes(format.split('=', 1)[0] ?? '') && format.includes('=');
}

/** What is asked for of the results of several: they are no objects of the API. */
export function dataFormat(format: ObjectFormat): DataFormat {
  return readFormat(format, DATA_FORMATS) as DataFormat;
}
