import { written } from './example.ts';
import { formatPath, keysIn, type Outline, outline, type Path } from './outline.ts';

const INTRODUCTION = `<!-- Generated from src/config/schema.ts by \`npm run docs\`; change it there. -->

# Configuration

Sidestream reads one YAML file: the one that \`--config FILE\` names, else \`./config.yaml\`. Every key has a default but
[\`channels\`](#channels), the routes, so the smallest config is one route:

\`\`\`yaml
channels:
  prices:
    channel: prices.{symbol}
    subject: market.prices.{symbol}
    access: public
\`\`\`

[\`config.example.yaml\`](../config.example.yaml) shows every key. \`sidestream check --config FILE\` tells all that is wrong
with a file in one run, each problem with its line, its column and how to mend it; \`sidestream schema\` prints a JSON
Schema for editors. A key that is not listed here is an error, and so is a key that is given twice. A key that is left
empty counts as not given, and a list of one may be written without its brackets. Paths of files start at the folder of the
config file, and the files must be there when the config is loaded.

## How values are written

| kind | written | remarks |
|---|---|---|
| duration | \`250ms\` \`15s\` \`10m\` \`1h\` \`2d\` | a whole number and a unit; only \`0\` needs none |
| range | \`3s..10s\` | two durations, the shorter first; one alone stands for both |
| size | \`512B\` \`256KiB\` \`1MiB\` \`1GiB\` | \`KiB\` is 1024 bytes, \`KB\` 1000; likewise \`MB\`, \`GB\` |
| rate | \`2000/s\` \`600/m\` \`60/h\` | a second, a minute, an hour |
| address:port | \`127.0.0.1:8080\` \`"[::1]:8080"\` \`:8080\` \`8080\` | IPv6 in brackets and quotes; \`:8080\` is every IPv4 interface, \`8080\` the default's address, port 0 any free port |

## Values from the environment

Any value, or a part of it, may come from an environment variable: \`\${NAME}\`, or \`\${NAME:-default}\` for when it is not set
or empty. It is read as what its key wants, so \`\${PORT}\` does for a number. A variable that is not set and has no default
is an error. \`$\${\` stands for \`\${\` itself. Inside \`[ ]\` and \`{ }\` YAML wants quotes around it: \`["\${NATS_URL}"]\`.

What came from the environment is never shown, in no message and no log line, and neither are the values of secret keys.
Those may also be named by a file: \`tokenFile\` for \`token\`, \`passwordFile\` for \`password\`, \`clientSecretFile\` for
\`clientSecret\`, \`secretFile\` for \`secret\`.

## Templates

\`{name}\` in a channel template stands for a part of the channel's name: one or more of \`A-Z a-z 0-9 _ : ~ -\`, never a dot.
In the subject template the same \`{name}\` is one whole token; every \`{name}\` of the channel stands there, so that subjects
lead back to channels. A subject may also hold \`*\` for one token that the channel does not name, and \`>\` at its end for one
or more. Two parameters need a dot between them, and no channel name may match two routes: \`check\` shows a name that would.
`;

/** `docs/configuration.md`: how values are written, then a table for each section. */
export function referenceMarkdown(): string {
  const alone = [...outline.keys].filter(([, key]) => keysIn(key).size === 0);
  const sections = [...outline.keys].filter(([, key]) => keysIn(key).size > 0);
  const pages = sections.flatMap(([name, key]) => sectionOf([name], key));
  return `${[INTRODUCTION.trimEnd(), '## Top level', table(alone), ...pages].join('\n\n')}\n`;
}

function sectionOf(path: Path, key: Outline): string[] {
  const here = key.each ?? key;
  const heading = `${'#'.repeat(path.length + 1)} ${formatPath(path)}`;
  const rows = [...here.keys].filter(([, value]) => value.doc.form !== 'section');
  const nested = [...here.keys].filter(([, value]) => keysIn(value).size > 0);
  const about =
    key.doc.form === 'record' ? `${key.doc.description} ${here.doc.description}` : here.doc.description;
  return [
    heading,
    about,
    table(rows),
    ...nested.flatMap(([name, value]) => sectionOf([...path, name], value)),
  ];
}

function table(rows: readonly (readonly [string, Outline])[]): string {
  const lines = rows.map(([name, key]) => {
    const cells = [`\`${name}\``, key.doc.type, defaultOf(key), meaningOf(key)];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return ['| key | type | default | meaning |', '|---|---|---|---|', ...lines].join('\n');
}

function defaultOf(key: Outline): string {
  if (key.default !== undefined) return `\`${written(key.default)}\``;
  return key.doc.required ? '**required**' : (key.doc.fallback ?? 'not set');
}

function meaningOf({ doc }: Outline): string {
  return doc.example === undefined ? doc.description : `${doc.description} For example \`${doc.example}\`.`;
}
