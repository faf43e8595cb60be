// Command stamp is a static Go actor that writes down when it began: the measure
// of how fast an actor is there. With --once it ends after that.
//
// The time (nanoseconds since 1970) goes to the file STAMP_FILE, once per
// process. Its jobs do nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"herosup/dispatch/actor"
	"herosup/dispatch/store"
)

func main() {
	began := time.Now()
	if err := run(began); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(began time.Time) error {
	if file := os.Getenv("STAMP_FILE"); file != "" {
		if err := os.WriteFile(file, []byte(strconv.FormatInt(began.UnixNano(), 10)), 0o600); err != nil {
			return err
		}
	}
	once := flag.Bool("once", false, "end after the stamp")
	name := flag.String("actor-id", "", "the actor's name")
	jobType := flag.String("type", "stamp", "script type")
	redisURL := flag.String("redis-url", "", "Redis")
	flag.Parse()
	if *once {
		return nil
	}
	s, err := store.Open(store.Options{URL: *redisURL}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer s.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return actor.Run(ctx, actor.Config{Store: s, Name: *name, Type: *jobType, Handler: func(context.Context, actor.Job) actor.Outcome {
		return actor.Outcome{Output: strconv.FormatInt(began.UnixNano(), 10)}
	}})
}
