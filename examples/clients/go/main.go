// Command go publishes reports and prints what comes of them, with plain nats.go and JSON: go [REPORTS [MODEL]].
package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, argument(1, "examples/reports.jsonl"), argument(2, "shop-go")); err != nil {
		log.Fatal(err)
	}
}

func argument(n int, absent string) string {
	if len(os.Args) > n {
		return os.Args[n]
	}
	return absent
}

func run(ctx context.Context, reports, model string) error {
	nc, err := nats.Connect(cmp.Or(os.Getenv("NATS_URL"), nats.DefaultURL))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	if err := publish(ctx, js, reports, model); err != nil {
		return err
	}
	var event struct{ Reason string }
	if err := first(ctx, js, "retune.retrain."+model+".*", jetstream.DeliverAllPolicy, &event); err != nil {
		return err
	}
	fmt.Println("retrain:", event.Reason)
	var answer struct{ Config json.RawMessage }
	if err := first(ctx, js, "retune.config."+model+".live", jetstream.DeliverLastPerSubjectPolicy, &answer); err != nil {
		return err
	}
	fmt.Printf("live config: %s\n", answer.Config)
	return nil
}

// publish sends each line of the file as a report. Once it returns the stream has them.
func publish(ctx context.Context, js jetstream.JetStream, file, model string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		m := nats.NewMsg("retune.metrics." + model)
		m.Data = lines.Bytes()
		m.Header.Set("Content-Type", "application/json")
		if _, err := js.PublishMsg(ctx, m); err != nil {
			return err
		}
	}
	return lines.Err()
}

// first reads the first output that the stream has on the subject, or will have.
func first(ctx context.Context, js jetstream.JetStream, subject string, from jetstream.DeliverPolicy, into any) error {
	consumer, err := js.OrderedConsumer(ctx, "KV_retune", jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subject}, DeliverPolicy: from,
	})
	if err != nil {
		return err
	}
	message, err := consumer.Next(jetstream.FetchMaxWait(30 * time.Second))
	if err != nil {
		return fmt.Errorf("%s: %w", subject, err)
	}
	if kind := message.Headers().Get("Content-Type"); kind != "application/json" {
		return fmt.Errorf("%s is %s: set `encoding: json` in worker.yaml", subject, kind)
	}
	return json.Unmarshal(message.Data(), into)
}
