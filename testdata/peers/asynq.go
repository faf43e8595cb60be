package main

import (
	"context"
	"fmt"

	"github.com/hibiken/asynq"
)

const asynqTask = "noop"

func asynqRedis(socket string) asynq.RedisClientOpt {
	return asynq.RedisClientOpt{Network: "unix", Addr: socket}
}

// asynqWorker is a server with its defaults, but for the log.
func asynqWorker(r roleFlags, n *counter) func(context.Context) error {
	return func(ctx context.Context) error {
		srv := asynq.NewServer(asynqRedis(r.redis), asynq.Config{Concurrency: r.concurrency, LogLevel: asynq.FatalLevel})
		err := srv.Start(asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
			id, _ := asynq.GetTaskID(ctx)
			n.handle(ctx, id, string(t.Payload()))
			return nil
		}))
		if err != nil {
			return err
		}
		<-ctx.Done()
		srv.Shutdown()
		return nil
	}
}

func asynqSubmitter(r roleFlags) submitting {
	c := asynq.NewClient(asynqRedis(r.redis))
	return submitting{
		end: c.Close,
		send: func(ctx context.Context, _, count int, payload string) error {
			for range count {
				if _, err := c.EnqueueContext(ctx, asynq.NewTask(asynqTask, []byte(payload))); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// asynqLeft is how many jobs wait or run; retries count as waiting.
func asynqLeft(ctx context.Context, s *server) (int, error) {
	p := s.Pipeline()
	waiting, running, retry := p.LLen(ctx, "asynq:{default}:pending"), p.LLen(ctx, "asynq:{default}:active"), p.ZCard(ctx, "asynq:{default}:retry")
	_, err := p.Exec(ctx)
	return int(waiting.Val() + running.Val() + retry.Val()), err
}

// asynqEnded is how many it says it has processed.
func asynqEnded(ctx context.Context, s *server) (int, error) {
	n, err := s.Get(ctx, "asynq:{default}:processed").Int()
	if err != nil {
		return 0, fmt.Errorf("asynq's own count: %w", err)
	}
	return n, nil
}
