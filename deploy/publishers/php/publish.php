<?php
// composer install && php publish.php

declare(strict_types=1);

use Basis\Nats\Client;
use Basis\Nats\Configuration;
use Basis\Nats\Message\Payload;

require __DIR__ . '/vendor/autoload.php';

$url = parse_url(getenv('NATS_URL') ?: 'nats://127.0.0.1:4222');
$nats = new Client(new Configuration(host: $url['host'], port: $url['port'], timeout: 2));

// 1. A value. Nobody need be there to read it.
$nats->publish('market.prices.ACME', '{"price":101.25}');

// 2. With all that Sidestream reads from headers.
$nats->publish('market.prices.ACME', new Payload('{"until":"15:30"}', [
    'Sse-Event' => 'halted', // the event's name in the browser
    'Sse-Ttl' => '30s', // is not replayed later than that
    'Sse-Priority' => 'urgent', // overtakes what waits for a slow reader
    'Nats-Msg-Id' => 'halt-ACME-1', // published twice, it is passed on once
    'traceparent' => '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', // from your tracer
]));
if (!$nats->ping()) { // publish() writes to the socket; what the server refused is thrown here
    throw new RuntimeException('NATS does not answer');
}

/** Until the stream acknowledges it. With the same id a second attempt does no harm. */
function store(Client $nats, string $subject, string $data, string $id): object
{
    for ($attempt = 1; ; $attempt++) {
        try {
            // A request, since the client's own put() does not wait. 2 s at most.
            $ack = json_decode((string) $nats->dispatch($subject, new Payload($data, ['Nats-Msg-Id' => $id]), 2));
            if (isset($ack->stream)) {
                return $ack;
            }
            $why = $ack->error->description ?? 'no stream takes this subject';
        } catch (LogicException $timeout) {
            $why = $timeout->getMessage();
        }
        if ($attempt === 5) {
            throw new RuntimeException($why); // not stored, or not known: keep it and try later, with this id
        }
        usleep(100_000 << $attempt);
    }
}
$ack = store($nats, 'orders.7', '{"state":"paid"}', 'order-7-paid');
echo $ack->stream, ' ', $ack->seq, isset($ack->duplicate) ? ' duplicate' : '', "\n";

$nats->disconnect();
