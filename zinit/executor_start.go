package zinit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"herosup/events"
)

// bringUp has zinit run the service as want says, and returns its process. One
// that runs already is kept as it is.
//
// The first try takes the service for new, as it mostly is: two calls and the
// process runs. Only when something is in the way is it looked at closely.
func (x *Executor) bringUp(ctx context.Context, name string, want Service) (events.Incarnation, error) {
	if err := runnable(want.Exec[0]); err != nil {
		return events.Incarnation{}, local{err}
	}
	z := x.cfg.Client
	err := z.TakeUp(ctx, name, want)
	if errors.Is(err, ServiceAlreadyExists) || errors.Is(err, ServiceAlreadyMonitored) {
		st, statusErr := z.Status(ctx, name)
		switch {
		case statusErr == nil && st.PID != 0 && st.Target == Up:
			return x.shown(ctx, name)
		case statusErr != nil && !errors.Is(statusErr, ServiceNotFound):
			return events.Incarnation{}, statusErr
		}
		if z.keeps(ctx) && z.startAgain(ctx, name, want) == nil {
			return x.shown(ctx, name)
		}
		// A file is read when a service is taken up, so what is there of an
		// earlier one goes first, whatever it says.
		if err = errors.Join(ignoring(z.stopInItsTime(ctx, name), ServiceNotFound), z.Remove(ctx, name)); err == nil {
			err = z.TakeUp(ctx, name, want)
		}
	}
	if err != nil {
		return events.Incarnation{}, err
	}
	return x.shown(ctx, name)
}

// shown waits until zinit shows the service's process.
func (x *Executor) shown(ctx context.Context, name string) (events.Incarnation, error) {
	end := time.Now().Add(startPatience)
	for wait := firstPoll; ; wait = min(2*wait, x.cfg.PollEvery) {
		st, err := x.cfg.Client.Status(ctx, name)
		if err != nil {
			return events.Incarnation{}, err
		}
		if life := lifeOf(st); !life.IsZero() {
			if st.Unmet != "" {
				x.log.Warn("actor runs without a bound", "service", name, "reason", st.Unmet)
			}
			return life, nil
		}
		left := time.Until(end)
		if held := x.held(ctx, st); held != nil && (held.certain || left <= 0) {
			return events.Incarnation{}, held
		}
		if st.State.Ended() || st.State.Kind == Failure {
			return events.Incarnation{}, local{fmt.Errorf("it ended at once: %s (its output says more)", st.State)}
		}
		if left <= 0 {
			return events.Incarnation{}, local{fmt.Errorf("no process after %s, zinit says %s", startPatience, st.State)}
		}
		select {
		case <-ctx.Done():
			return events.Incarnation{}, context.Cause(ctx)
		case <-time.After(min(wait, left)):
		}
	}
}

// lifeOf is the process that a status shows, zero if it has none that lives.
func lifeOf(st Status) events.Incarnation {
	if st.PID == 0 {
		return events.Incarnation{}
	}
	life, err := events.IncarnationOf(st.PID)
	if err != nil {
		return events.Incarnation{} // it is ending
	}
	return life
}

// runnable says why a program can not be run, in words better than those that a
// start would come back with, and before anything is asked of zinit.
func runnable(program string) error {
	if !strings.Contains(program, "/") {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("program %q is not on PATH (give its full path)", program)
		}
		return nil
	}
	st, err := os.Stat(program)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("program %s does not exist", program)
	case err != nil:
		return fmt.Errorf("program %s: %w", program, err)
	case st.IsDir():
		return fmt.Errorf("program %s is a folder", program)
	case st.Mode()&0o111 == 0:
		return fmt.Errorf("program %s is not executable (chmod +x %s)", program, program)
	}
	return nil
}

// oneLine is an error for a fact.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
