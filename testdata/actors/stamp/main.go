// Command stamp is a static Go actor that writes down when it began: the measure
// of how fast an actor is there. With --once it ends after that.
//
// The time (nanoseconds since 1970) goes to the file STAMP_FILE, once per
// process. Its jobs do nothing, but for two scripts: "fail", and "hold", which lasts
// until it is ended.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"herosup/dispatch/actor"
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
	if slices.Contains(os.Args[1:], "--once") {
		return nil
	}
	return actor.Serve(context.Background(), os.Args[1:], actor.Config{Handler: func(ctx context.Context, job actor.Job) actor.Outcome {
		switch job.Script {
		case "fail":
			return actor.Failed("exit 3", "as it was told")
		case "hold":
			<-ctx.Done()
			return actor.Failed("cut off", context.Cause(ctx).Error())
		}
		return actor.Outcome{Output: strconv.FormatInt(began.UnixNano(), 10)}
	}})
}
