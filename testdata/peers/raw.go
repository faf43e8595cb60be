package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// The floor: what a job needs at the least, with a fencing check, and nothing else. One
// script to come in, one to begin, one to end and take the next.
var (
	//go:embed raw_submit.lua
	rawSubmitText string
	//go:embed raw_claim.lua
	rawClaimText string
	//go:embed raw_finish.lua
	rawFinishText string

	rawSubmit = redis.NewScript(rawSubmitText)
	rawClaim  = redis.NewScript(rawClaimText)
	rawFinish = redis.NewScript(rawFinishText)
)

func rawClient(r roleFlags) *redis.Client {
	return redis.NewClient(&redis.Options{Network: "unix", Addr: r.redis, MaxRetries: -1, PoolSize: max(r.concurrency, r.callers, 1)})
}

func rawWorker(r roleFlags, n *counter) func(context.Context) error {
	return func(ctx context.Context) error {
		c := rawClient(r)
		defer c.Close()
		var wg sync.WaitGroup
		errs := make(chan error, r.concurrency)
		for i := range r.concurrency {
			wg.Go(func() { errs <- rawSlot(ctx, c, r.name+"_"+strconv.Itoa(i), n) })
		}
		wg.Wait()
		return <-errs
	}
}

// rawSlot takes and ends jobs; a claim that finds nothing waits for a push.
func rawSlot(ctx context.Context, c *redis.Client, me string, n *counter) error {
	take := func() ([]any, error) {
		return rawClaim.Run(ctx, c, []string{"raw:work", "raw:held:" + me, "raw:job:"}, me, time.Now().UnixMilli()).Slice()
	}
	job, err := take()
	for ; err == nil; err = ctx.Err() {
		if len(job) == 0 {
			if err = c.BLMove(ctx, "raw:work", "raw:work", "RIGHT", "RIGHT", time.Second).Err(); err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
			if job, err = take(); err != nil {
				return err
			}
			continue
		}
		id, script := fmt.Sprint(job[0]), fmt.Sprint(job[1])
		n.handle(ctx, id, script)
		job, err = rawFinish.Run(ctx, c, []string{"raw:work", "raw:held:" + me, "raw:job:", "raw:reply:"}, me, time.Now().UnixMilli(), id, "").Slice()
		if err != nil {
			return err
		}
	}
	return nil
}

func rawSubmitter(ctx context.Context, r roleFlags) (submitting, error) {
	c := rawClient(r)
	if err := rawSubmit.Load(ctx, c).Err(); err != nil {
		return submitting{}, err
	}
	return submitting{
		end: c.Close,
		send: func(ctx context.Context, from, count int, payload string) error {
			p := c.Pipeline()
			for i := from; i < from+count; i++ {
				id := "j" + strconv.Itoa(i)
				p.EvalSha(ctx, rawSubmit.Hash(), []string{"raw:work", "raw:job:" + id}, id, payload, time.Now().UnixMilli())
			}
			_, err := p.Exec(ctx)
			return err
		},
	}, nil
}

func rawLeft(ctx context.Context, s *server) (int, error) {
	waiting, err := s.LLen(ctx, "raw:work").Result()
	if err != nil {
		return 0, err
	}
	held, err := s.Keys(ctx, "raw:held:*").Result() // an empty list is no key
	return int(waiting) + len(held), err
}

// rawEnded counts the replies.
func rawEnded(ctx context.Context, s *server) (int, error) {
	n := 0
	it := s.Scan(ctx, 0, "raw:reply:*", 10_000).Iterator()
	for it.Next(ctx) {
		n++
	}
	return n, it.Err()
}
