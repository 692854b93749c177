/** What `--help` prints. */
export const HELP = `sidestream: publish to NATS, browsers receive Server-Sent Events

Usage:
  sidestream [serve] [--config FILE]   run the bridge
  sidestream check [--config FILE]     list every problem of the config, with line and column
  sidestream health [--config FILE]    ask the running process how it is, at ops.listen: exit 0 if it answers
      --ready                          whether it takes new streams, too
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
  sidestream doctor URL                measure the path to a stream, from here, and say what to change (docs/doctor.md)
      --token-file FILE, --token T     the token to bring; or --cookie 'session=…', or --header 'name: value'
      --origin URL                     that of the page, to see whether it may read the stream
      --idle DURATION                  how long a quiet stream is watched (default: 70s)
      --patience DURATION              how long to wait for what should come at once (default: 10s)
      --streams NUMBER                 how many to open at once (default: 7)
      --ops URL, --ops-token-file FILE the control plane, to send events and to ask what the bridge sees
      --drain wait                     somebody restarts the instance meanwhile; with --drain call, doctor drains it
      --ca FILE, --insecure            authorities to trust besides; trust everybody
      --json                           for machines
  sidestream --version
  sidestream --help

Options:
  -c, --config FILE   the YAML config (default: ./config.yaml)

Exit status: 0 fine, 1 run-time failure or a problem that doctor found, 2 bad usage or bad config.
SIGTERM and SIGINT drain: /readyz fails, streams are told when to come back and end over drain.timeout.
A second signal exits at once.
SIGHUP, or a changed file, takes on the config anew as far as that needs no restart.
With several workers, SIGUSR2 reads the config again and restarts them, one at a time.
`;
