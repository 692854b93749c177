/** What `--help` prints. */
export const HELP = `sidestream: publish to NATS, browsers receive Server-Sent Events

Usage:
  sidestream [serve] [--config FILE]   run the bridge
  sidestream check [--config FILE]     list every problem of the config, with line and column
  sidestream schema                    print the config's JSON Schema
      --example                        print config.example.yaml instead: every key with its default
      --markdown                       print docs/configuration.md instead
      --openapi                        print docs/openapi.json instead: the control plane over HTTP
  sidestream token [--config FILE]     sign a token for trying out, with the config's own key
      --sub NAME                       the user
      --claim NAME=VALUE               any other claim, JSON or text; may be given again:
                                         --claim plan=pro --claim 'channels=["chat-*","news"]'
      --ttl DURATION                   until it expires (default: 1h; of a ticket, as long as it may be good)
      --ticket                         a one-time ticket, of the first issuer that gives them
      --issuer URL                     whose, where auth.jwt has several (default: the first)
      --key FILE                       a private key (PEM), where the config has only public ones
  sidestream --version
  sidestream --help

Options:
  -c, --config FILE   the YAML config (default: ./config.yaml)

Exit status: 0 fine, 1 run-time failure, 2 bad usage or bad config.
SIGTERM and SIGINT drain: /readyz fails, streams are told when to come back and end over drain.timeout.
A second signal exits at once.
With several workers, SIGUSR2 reads the config again and restarts them, one at a time.
`;
