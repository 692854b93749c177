// dotnet run
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using NATS.Net;

// It reconnects for ever by default. What the server refuses (a subject that is not permitted, say) is written to the
// logger of NatsOpts.LoggerFactory.
var url = Environment.GetEnvironmentVariable("NATS_URL") ?? "nats://127.0.0.1:4222";
await using var nc = new NatsClient(url); // disposing of it sends what is left, then closes

// 1. A value. Nobody need be there to read it. A string is sent as it is; objects would be sent as JSON.
await nc.PublishAsync("market.prices.ACME", """{"price":101.25}""");

// 2. With all that Sidestream reads from headers.
var headers = new NatsHeaders
{
    ["Sse-Event"] = "halted", // the event's name in the browser
    ["Sse-Ttl"] = "30s", // is not replayed later than that
    ["Sse-Priority"] = "urgent", // overtakes what waits for a slow reader
    ["Nats-Msg-Id"] = "halt-ACME-1", // published twice, it is passed on once
    ["traceparent"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", // from your tracer
};
await nc.PublishAsync("market.prices.ACME", """{"until":"15:30"}""", headers);
await nc.PingAsync(); // PublishAsync fills a buffer; now the server has it

// 3. What must not be lost.
var ack = await Store(nc.CreateJetStreamContext(), "orders.7", """{"state":"paid"}""", "order-7-paid");
Console.WriteLine($"{ack.Stream} {ack.Seq}{(ack.Duplicate ? " duplicate" : "")}");

// Until the stream acknowledges it. With the same id a second attempt does no harm.
static async Task<PubAckResponse> Store(INatsJSContext js, string subject, string data, string id)
{
    for (var attempt = 1; ; attempt++)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        try
        {
            var ack = await js.PublishAsync(subject, data, opts: new NatsJSPubOpts { MsgId = id }, cancellationToken: patience.Token);
            // Not EnsureSuccess(): it throws for a duplicate, which is stored already.
            if (ack.Error is null) return ack;
            if (attempt == 5) throw new NatsJSApiException(ack.Error);
        }
        catch (Exception error) when (attempt < 5 && error is NatsException or OperationCanceledException)
        {
            // Not stored, or not known. After the fifth time keep it and try later, with this id.
        }
        await Task.Delay(100 << attempt);
    }
}
