package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// submitting is one system's way in. send submits jobs from..from+count-1 and returns
// when they are acknowledged.
type submitting struct {
	send func(ctx context.Context, from, count int, payload string) error
	// stream, if the system has it, submits all without waiting for each answer, and
	// returns when all are acknowledged.
	stream func(ctx context.Context, from, jobs int, payload string) error
	end    func() error
}

// submit runs a submitter: it says ready, waits for go, and says done when the last
// job is acknowledged.
func submit(ctx context.Context, r roleFlags, c *control) error {
	s, err := submitters(ctx, r)
	if err != nil {
		return err
	}
	defer s.end() //nolint:errcheck // the process ends
	c.say(message{Event: "ready"})
	for done := 0; c.hear() == "go"; done += r.jobs { // ids go on
		begun, first := cpuTime(), time.Now()
		switch {
		case r.rate > 0:
			err = pacedSend(ctx, r, s, done)
		case r.callers == 0 && s.stream == nil:
			err = fmt.Errorf("%s can not submit without waiting", r.system)
		case r.callers == 0:
			err = s.stream(ctx, done, r.jobs, r.payload)
		default:
			err = sharedSend(ctx, r, s, done)
		}
		if err != nil {
			return err
		}
		c.say(message{Event: "done", Jobs: r.jobs, First: first.UnixNano(), Last: time.Now().UnixNano(), CPU: cpuTime() - begun})
	}
	return nil
}

// sharedSend has callers that each wait for their answer.
func sharedSend(ctx context.Context, r roleFlags, s submitting, done int) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, r.callers)
	for range r.callers {
		wg.Go(func() {
			for {
				from := int(next.Add(int64(r.batch))) - r.batch
				if from >= r.jobs {
					return
				}
				if err := s.send(ctx, done+from, min(r.batch, r.jobs-from), r.payload); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// pacedSend submits at a rate, each job with the clock in its payload.
func pacedSend(ctx context.Context, r roleFlags, s submitting, done int) error {
	beat := time.NewTicker(time.Second / time.Duration(r.rate))
	defer beat.Stop()
	for i := range r.jobs {
		select {
		case <-beat.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		payload := r.payload
		if payload == payloadAt {
			payload += strconv.FormatInt(time.Now().UnixNano(), 10)
		}
		if err := s.send(ctx, done+i, 1, payload); err != nil {
			return err
		}
	}
	return nil
}

func submitters(ctx context.Context, r roleFlags) (submitting, error) {
	switch r.system {
	case "asynq":
		return asynqSubmitter(r), nil
	case "raw":
		return rawSubmitter(ctx, r)
	case "herosup-store":
		return storeSubmitter(ctx, r)
	case "herosup":
		return logSubmitter(ctx, r)
	}
	return submitting{}, fmt.Errorf("no submitter of %q", r.system)
}
