// Publishes to Nchan the way it is done: a POST per event, here pipelined over one kept connection.
import { connect } from 'node:net';
import { answer } from './requests.mjs';
import { DATA_BYTES, eventData, publisherRequests, target } from './workload.mjs';

const socket = connect(Number(process.argv[2]), '127.0.0.1');
socket.setNoDelay(true);
socket.resume(); // The answers say how many read; nobody here asks.

const post = (channel) =>
  socket.write(
    `POST /pub/${channel} HTTP/1.1\r\nHost: bench\r\nContent-Length: ${DATA_BYTES}\r\n\r\n${eventData()}`,
  );

answer(
  publisherRequests({
    shared(_first, count) {
      socket.cork();
      for (let i = 0; i < count; i++) post('all');
      socket.uncork();
    },
    own(n, connections) {
      post(`own/${target(n, connections)}`);
    },
  }),
);
socket.on('connect', () => process.send({ ready: true }));
