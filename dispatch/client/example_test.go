package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"herosup/dispatch/client"
	"herosup/events/embedded"
)

// A script is submitted and its result awaited.
func ExampleClient_Run() {
	ctx := context.Background()
	c, err := client.Connect(ctx, client.Config{
		URL:     shared.nats.URL(),                                // nats://127.0.0.1:4222
		KeyFile: embedded.KeyFile(shared.dir, embedded.Submitter), // <state folder>/nats/keys/submitter.nk
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	r, err := c.Run(ctx, "echo", "print 42", client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Finished, r.Output)
	// Output: true 42
}

// Thousands of jobs, without waiting for each.
func ExampleClient_Batch() {
	ctx := context.Background()
	c, err := shared.connect(ctx, embedded.Submitter)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	b, err := c.Batch(client.BatchConfig{
		Done: func(job string, err error) {
			if err != nil {
				fmt.Println(job, "was not accepted:", err)
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	for n := range 3000 {
		if _, err := b.Add(ctx, "reports", fmt.Sprintf("make report %d", n), client.Options{}); err != nil {
			log.Fatal(err)
		}
	}
	count, err := b.Flush(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(count.Accepted, "are in the log")
	// Output: 3000 are in the log
}

// A submission that is refused says why, and what would do.
func ExampleRefusal() {
	ctx := context.Background()
	c, err := shared.connect(ctx, embedded.Submitter)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	_, err = c.Submit(ctx, "echo", "  ", client.Options{})
	var r *client.Refusal
	if errors.As(err, &r) {
		fmt.Println(r.Code, "-", r.Reason, "-", r.Hint)
	}
	// Output: empty_script - the script is empty - the message's payload is the script itself
}
