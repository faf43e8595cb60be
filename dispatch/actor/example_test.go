package actor_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/alicebob/miniredis/v2"

	"herosup/dispatch/actor"
	"herosup/dispatch/store"
)

// The whole main function of a program that is a pool's command.
func ExampleServe() {
	greet := func(_ context.Context, job actor.Job) actor.Outcome {
		return actor.Outcome{Output: "hello " + job.Script}
	}
	if err := actor.Serve(context.Background(), os.Args[1:], actor.Config{Handler: greet}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// An actor in Go, with ten jobs at a time.
func ExampleRun() {
	redis, err := miniredis.Run()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer redis.Close()
	s, err := store.Open(store.Options{URL: "redis://" + redis.Addr()}, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()

	// What the daemon does: it raises the epoch, and brings jobs in from the log.
	_, _, _ = s.RaiseEpoch(ctx, 1)
	_, _ = s.Daemon(1).Accept(ctx, 0, []store.Submission{{ID: "greet-1", Type: "greet", Script: "world"}})

	err = actor.Run(ctx, actor.Config{
		Store: s, Name: "greet_1", Type: "greet", Concurrency: 10,
		Handler: func(_ context.Context, job actor.Job) actor.Outcome {
			defer stop() // a real one goes on
			return actor.Outcome{Output: "hello " + strings.TrimSpace(job.Script)}
		},
	})
	job, _ := s.Job(context.Background(), "greet-1")
	fmt.Println(err, job.Status, job.Output)
	// Output: <nil> finished hello world
}
