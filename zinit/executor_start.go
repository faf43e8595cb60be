package zinit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
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
	z := x.cfg.Client
	if err := Runnable(want.Exec[0]); err != nil {
		if life := x.kept(ctx, name); !life.IsZero() {
			return life, nil // what runs needs it no more
		}
		return events.Incarnation{}, missing{local{err}}
	}
	err := z.TakeUp(ctx, name, want)
	if errors.Is(err, ServiceAlreadyExists) || errors.Is(err, ServiceAlreadyMonitored) {
		st, statusErr := z.Status(ctx, name)
		switch {
		case statusErr == nil && st.PID != 0 && st.Target == Up:
			return x.shown(ctx, name, true)
		case statusErr != nil && !errors.Is(statusErr, ServiceNotFound):
			return events.Incarnation{}, statusErr
		}
		if z.keeps(ctx) {
			if st.PID != 0 { // it is about to end, and would be taken for the next
				if err := ignoring(z.stopPatiently(ctx, name), ServiceNotFound); err != nil {
					return events.Incarnation{}, err
				}
			}
			st, err := z.decided(ctx, name)
			if err == nil && z.startAgain(ctx, name, want) == nil {
				return x.shown(ctx, name, st.Target == Up)
			}
		}
		// A file is read when a service is taken up, so what is there of an
		// earlier one goes first, whatever it says.
		if err = ignoring(z.stopPatiently(ctx, name), ServiceNotFound); err == nil {
			err = z.Remove(ctx, name)
		}
		if err == nil {
			err = z.TakeUp(ctx, name, want)
		}
	}
	if _, refused := errors.AsType[*Error](err); refused { // its folder is full, or gone: what runs needs that no more
		if life := x.kept(ctx, name); !life.IsZero() {
			return life, nil
		}
	}
	if err != nil {
		return events.Incarnation{}, err
	}
	return x.shown(ctx, name, false)
}

// kept is the process of a service that zinit keeps up; zero if it has none, or is away.
func (x *Executor) kept(ctx context.Context, name string) events.Incarnation {
	st, err := x.cfg.Client.Status(ctx, name)
	if err != nil || st.Target != Up {
		return events.Incarnation{}
	}
	return lifeOf(st)
}

// shown waits until zinit shows the service's process. kept: zinit kept it up before it was
// asked, so one that has ended is followed by the next.
func (x *Executor) shown(ctx context.Context, name string, kept bool) (events.Incarnation, error) {
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
		if st.State.Ended() && !kept || st.State.Kind == Failure {
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

// Runnable says why a program can not be run, in words better than those that a
// start would come back with, and before anything is asked of zinit.
func Runnable(program string) error {
	if !strings.Contains(program, "/") {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("program %q is not on PATH (give its full path)", program)
		}
		return nil
	}
	if err := executable("program "+program, program); err != nil {
		return err
	}
	if by := interpreter(program); by != "" {
		return executable(fmt.Sprintf("program %s: its interpreter %s", program, printable(by)), by)
	}
	return nil
}

// executable says why a file can not be executed; what is its name for people.
func executable(what, file string) error {
	st, err := os.Stat(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s does not exist", what)
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case st.IsDir():
		return fmt.Errorf("%s is a folder", what)
	case !st.Mode().IsRegular():
		return fmt.Errorf("%s is no file", what)
	case st.Mode()&0o111 == 0:
		return fmt.Errorf("%s is not executable (chmod +x %s)", what, file)
	}
	return nil
}

// maxShebang is as much of a file's first line as the kernel reads.
const maxShebang = 256

// interpreter is the program by which a script is run; "" for none, or when it can not be
// told: then it is left to zinit, as is a path that its folder decides.
func interpreter(script string) string {
	f, err := os.Open(script)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, maxShebang)
	n, _ := io.ReadFull(f, head) // most are shorter
	line, isScript := strings.CutPrefix(string(head[:n]), "#!")
	line, _, whole := strings.Cut(line, "\n")
	path, _, _ := strings.Cut(strings.Trim(line, " \t"), " ")
	path, _, _ = strings.Cut(path, "\t")
	if !isScript || !whole || !strings.HasPrefix(path, "/") {
		return ""
	}
	return path
}

// printable quotes a word that would not show as it is: an editor may have ended the line
// with a carriage return.
func printable(word string) string {
	if quoted := strconv.Quote(word); quoted != `"`+word+`"` {
		return quoted
	}
	return word
}

// oneLine is an error for a fact.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
