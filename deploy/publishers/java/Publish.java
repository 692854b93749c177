// mvn -q compile exec:java
import static java.nio.charset.StandardCharsets.UTF_8;

import io.nats.client.Connection;
import io.nats.client.ErrorListener;
import io.nats.client.JetStream;
import io.nats.client.JetStreamApiException;
import io.nats.client.Nats;
import io.nats.client.Options;
import io.nats.client.PublishOptions;
import io.nats.client.api.PublishAck;
import io.nats.client.impl.Headers;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;

public class Publish {
  public static void main(String[] args) throws Exception {
    Options options = Options.builder()
        .server(Optional.ofNullable(System.getenv("NATS_URL")).orElse(Options.DEFAULT_URL))
        .maxReconnects(-1) // by default it gives up for good after sixty
        .errorListener(new ErrorListener() {
          @Override
          public void errorOccurred(Connection connection, String error) {
            System.err.println(error); // what the server refuses (a subject that is not permitted, say) is told here
          }
        })
        .build();
    try (Connection nc = Nats.connect(options)) { // its threads would keep the program alive
      // 1. A value. Nobody need be there to read it.
      nc.publish("market.prices.ACME", "{\"price\":101.25}".getBytes(UTF_8));

      // 2. With all that Sidestream reads from headers.
      Headers headers = new Headers()
          .put("Sse-Event", "halted") // the event's name in the browser
          .put("Sse-Ttl", "30s") // is not replayed later than that
          .put("Sse-Priority", "urgent") // overtakes what waits for a slow reader
          .put("Nats-Msg-Id", "halt-ACME-1") // published twice, it is passed on once
          .put("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"); // from your tracer
      nc.publish("market.prices.ACME", headers, "{\"until\":\"15:30\"}".getBytes(UTF_8));
      nc.flush(Duration.ofSeconds(5)); // publish() fills a buffer; now the server has it

      // 3. What must not be lost.
      PublishAck ack = store(nc.jetStream(), "orders.7", "{\"state\":\"paid\"}".getBytes(UTF_8), "order-7-paid");
      System.out.println(ack.getStream() + " " + ack.getSeqno() + (ack.isDuplicate() ? " duplicate" : ""));

      nc.drain(Duration.ofSeconds(5)).get(); // sends what is left, then closes
    }
  }

  /** Until the stream acknowledges it. With the same id a second attempt does no harm. */
  static PublishAck store(JetStream js, String subject, byte[] data, String id)
      throws IOException, JetStreamApiException, InterruptedException {
    PublishOptions options = PublishOptions.builder().messageId(id).streamTimeout(Duration.ofSeconds(2)).build();
    for (int attempt = 1; ; attempt++) {
      try {
        return js.publish(subject, data, options);
      } catch (IOException | JetStreamApiException error) {
        if (attempt == 5) throw error; // not stored, or not known: keep it and try later, with this id
        Thread.sleep(100L << attempt);
      }
    }
  }
}
