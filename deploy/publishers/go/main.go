// go run .
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// store publishes until the stream acknowledges it. With the same id a second attempt does no harm.
func store(ctx context.Context, js jetstream.JetStream, subject string, data []byte, id string) (*jetstream.PubAck, error) {
	for attempt := 1; ; attempt++ {
		once, cancel := context.WithTimeout(ctx, 2*time.Second)
		ack, err := js.Publish(once, subject, data, jetstream.WithMsgID(id))
		cancel()
		if err == nil || attempt == 5 {
			return ack, err // an error: not stored, or not known. Keep it and try later, with this id
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond << attempt):
		}
	}
}

func publish(ctx context.Context, nc *nats.Conn) error {
	// 1. A value. Nobody need be there to read it.
	if err := nc.Publish("market.prices.ACME", []byte(`{"price":101.25}`)); err != nil {
		return err // the buffer for times without a connection is full, or the connection is closed
	}

	// 2. With all that Sidestream reads from headers. They are set in the case in which they are written here.
	msg := nats.NewMsg("market.prices.ACME")
	msg.Data = []byte(`{"until":"15:30"}`)
	msg.Header = nats.Header{
		"Sse-Event":    {"halted"},      // the event's name in the browser
		"Sse-Ttl":      {"30s"},         // is not replayed later than that
		"Sse-Priority": {"urgent"},      // overtakes what waits for a slow reader
		"Nats-Msg-Id":  {"halt-ACME-1"}, // published twice, it is passed on once
		// From your tracer.
		"traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
	}
	if err := nc.PublishMsg(msg); err != nil {
		return err
	}
	if err := nc.FlushTimeout(5 * time.Second); err != nil { // Publish fills a buffer; now the server has it
		return err
	}

	// 3. What must not be lost.
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ack, err := store(ctx, js, "orders.7", []byte(`{"state":"paid"}`), "order-7-paid")
	if err != nil {
		return err
	}
	fmt.Print(ack.Stream, " ", ack.Sequence)
	if ack.Duplicate {
		fmt.Print(" duplicate")
	}
	fmt.Println()
	return nil
}

func main() {
	closed := make(chan struct{})
	nc, err := nats.Connect(cmp.Or(os.Getenv("NATS_URL"), nats.DefaultURL),
		nats.MaxReconnects(-1), // by default it gives up for good after sixty
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Println(err) // what the server refuses (a subject that is not permitted, say) is told here
		}),
		nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if err != nil {
		log.Fatal(err)
	}
	if err := publish(context.Background(), nc); err != nil {
		log.Fatal(err)
	}
	if err := nc.Drain(); err != nil { // sends what is left, then closes
		log.Fatal(err)
	}
	<-closed
}
