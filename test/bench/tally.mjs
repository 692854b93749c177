// What arrived, and who waits for it: the answers by which a window knows that all has come.

/** @returns a count of deliveries, and the requests about it that a window asks; `more` fields go into every report */
export function tally(more = () => ({})) {
  let delivered = 0;
  /** The count at which somebody wants to be told, and how. */
  let threshold = Number.POSITIVE_INFINITY;
  let reached = () => {};
  const report = () => ({ delivered, ...more(), atMs: Number(process.hrtime.bigint() / 1000n) / 1000 });
  return {
    add: (count) => {
      delivered += count;
      if (delivered >= threshold) reached();
    },
    requests: {
      report,
      /** Resolves at `count` deliveries, or when none has come for `quietMs`: the caller sees what is missing. */
      deliveries: ({ count, quietMs }) => {
        if (delivered >= count) return report();
        return new Promise((resolve) => {
          let seen = delivered;
          const done = () => {
            clearInterval(watch);
            threshold = Number.POSITIVE_INFINITY;
            resolve(report());
          };
          const watch = setInterval(() => {
            if (seen === delivered) done();
            seen = delivered;
          }, quietMs);
          threshold = count;
          reached = done;
        });
      },
      /** Says `credit` each time another `step` deliveries have come, until somebody waits for `deliveries`. */
      creditEvery: ({ step }) => {
        threshold = delivered + step;
        reached = () => {
          for (; delivered >= threshold; threshold += step) process.send({ notice: 'credit' });
        };
      },
    },
  };
}
