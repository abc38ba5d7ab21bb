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
	trainer, err := connect(os.Getenv("NATS_URL"))
	if err != nil {
		return err
	}
	defer trainer.Close()
	subscriber, err := connect(cmp.Or(os.Getenv("NATS_SUBSCRIBER_URL"), os.Getenv("NATS_URL")))
	if err != nil {
		return err
	}
	defer subscriber.Close()
	events, err := subscriber.SubscribeSync("retune.retrain." + model + ".*")
	if err != nil {
		return err
	}
	if err := subscriber.Flush(); err != nil {
		return err
	}
	if err := publish(ctx, trainer, reports, model); err != nil {
		return err
	}
	message, err := events.NextMsg(time.Minute)
	if err != nil {
		return fmt.Errorf("%s: %w", events.Subject, err)
	}
	var event struct{ Reason string }
	if err := read(message, &event); err != nil {
		return err
	}
	fmt.Println("retrain:", event.Reason)
	message, err = trainer.Request("$JS.API.DIRECT.GET.KV_retune.retune.config."+model+".live", nil, 5*time.Second)
	if err != nil {
		return fmt.Errorf("live config of %s: %w", model, err)
	}
	if message.Header.Get("Status") == "404" {
		return fmt.Errorf("no live config of %s: has the worker a tuner for it?", model)
	}
	var answer struct{ Config json.RawMessage }
	if err := read(message, &answer); err != nil {
		return err
	}
	fmt.Printf("live config: %s\n", answer.Config)
	return nil
}

func connect(url string) (*nats.Conn, error) {
	return nats.Connect(cmp.Or(url, nats.DefaultURL), nats.PermissionErrOnSubscribe(true))
}

// publish sends each line of the file as a report. Once it returns the stream has them.
func publish(ctx context.Context, nc *nats.Conn, file, model string) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
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

func read(message *nats.Msg, into any) error {
	if kind := message.Header.Get("Content-Type"); kind != "application/json" {
		return fmt.Errorf("%s is %s: set `encoding: json` in worker.yaml", message.Subject, kind)
	}
	return json.Unmarshal(message.Data, into)
}
