// Puts the text of deploy/publishers into docs/publishers.md, below the links that name the files; part of `npm run docs`.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './command.mjs';

const PAGE = join(ROOT, 'docs/publishers.md');
/** A line that begins with a link to a file, and the block below it. */
const SHOWN = /^(\[`[^`]+`\]\(\.\.\/(deploy\/publishers\/[^)]+)\)[^\n]*\n\n```\w+\n)[\s\S]*?(^```$)/gm;

const page = readFileSync(PAGE, 'utf8');
writeFileSync(
  PAGE,
  page.replace(SHOWN, (_, head, file, end) => head + readFileSync(join(ROOT, file), 'utf8') + end),
);
