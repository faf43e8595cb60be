package zinit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The rewrite that crates.io has as zinit (read and run: 0.3.9) differs in more
// than its words, and what differs is hidden here as far as it can be:
//
//   - A service and its file are one: service.set writes and starts, service.delete
//     ends and removes. Create without Monitor is a service whose file says that
//     nobody is to start it ("ignore"); Forget alone is refused.
//   - It knows a service by its place in a list, and removing one moves the last
//     into that place without telling who waits for its process: from then on the
//     end of that process is not seen, its log is lost, and its end may be laid to
//     another. So nothing is removed that can be left (keeps), nothing is removed
//     that would move what runs or may come to (moves; an executor puts a stand-in
//     to the end of the list first, that is moved then), and a process that is gone
//     is not believed to run (look).
//   - A service.set of a service that it has never returns, nor does anything after
//     it: it waits for itself, until it is killed. That is sent for new ones only.
//   - It removes, and stops, what depends on a service with it. A removal that
//     would reach another service is therefore refused.
//   - A command is text for a shell, which our words are quoted for; and it does not
//     start what waits for a service that it does not know: that is DependencyError.
//   - It sends a signal for a process that it does not have to its own group.
//   - What service.stop stops between two of its lives comes up again (stop), and so does
//     what is started then and stopped after: the start that it has in mind comes in its
//     time (start). What was stopped while it waited for another comes up with that.
//   - It shows a process before that leads a group of its own, where signals go, and does
//     not notice that one has left it: then it sends KILL to nobody and says nothing
//     (signal, stop).

// cratePing is asked to know it: no other zinit answers.
const cratePing = "system.ping"

// What this dialect alone does in one call; in any other they are MethodNotFound.
const (
	crateTake  = "crate_take"  // Create and Monitor
	crateAgain = "crate_again" // Start, if the file says just this
	crateSame  = "crate_same"  // nothing; ConfigError if the file says another thing
	crateSpare = "crate_renew" // nothing; why it can not be removed, once it is stopped
	crateTail  = "crate_tail"  // CurrentLogs with the times
)

// crateVerbs are the methods that need no more than another name.
var crateVerbs = map[string]string{
	"system_shutdown": "system.shutdown",
	"rpc.discover":    "rpc.discover",
}

// keeps says that services are better stopped than removed, and started again
// rather than made anew.
func (c *Client) keeps(ctx context.Context) bool {
	if c.dialect.Load() == nil {
		_, _ = c.List(ctx) // who is away shows in what is asked next
	}
	return c.spoken() == Crate
}

// asCrate has a method done by a zinit of the crate dialect, and gives the result
// that one of the JSON-RPC dialect would have given.
func (c *Client) asCrate(ctx context.Context, l *line, m method, params []any) (json.RawMessage, error) {
	z := crate{ctx, l}
	name := ""
	if len(params) > 0 {
		name, _ = params[0].(string)
	}
	if m.names || m.name == crateTake || strings.HasPrefix(m.name, "service_") && m.name != "service_list" {
		if err := ValidName(name); err != nil {
			return nil, &Error{Code: InvalidServiceName, Message: err.Error()}
		}
	}
	result, err := z.do(m, name, params)
	if errors.Is(err, MethodNotFound) {
		if answer, noCrate := l.ask(ctx, cratePing, nil, true); errors.Is(noCrate, MethodNotFound) {
			return nil, foreign{speaks: JSONRPC, answer: answer}
		}
	}
	if err != nil || result == nil {
		return nil, err
	}
	return json.Marshal(result)
}

// crate is one call to a zinit of that dialect.
type crate struct {
	ctx context.Context
	l   *line
}

// named are the parameters of most methods.
type named struct {
	Name   string `json:"name"`
	Signal string `json:"signal,omitempty"`
}

func (z crate) do(m method, name string, params []any) (any, error) {
	switch m.name {
	case "service_list":
		return z.list()
	case "service_status":
		return z.status(name)
	case "service_stop":
		err := z.stop(name)
		if err == nil {
			z.l.c.memory.stopped(name)
		}
		return nil, err
	case "service_create", crateTake:
		return nil, z.change(func() error { return z.create(name, params[1].(Content), m.name == crateTake) })
	case "service_monitor":
		return nil, z.change(func() error { return z.monitor(name) })
	case "service_forget":
		return nil, z.forget(name)
	case "service_delete":
		return nil, z.change(func() error { return z.remove(name) })
	case "service_get":
		c, err := z.config(name)
		return c.content(), err
	case "service_stats":
		return z.stats(name)
	case "stream_currentLogs":
		return z.logs(name)
	case crateTail:
		return z.tail(name)
	case crateSame:
		return nil, z.same(name, params[1].(Content))
	case crateSpare:
		return nil, z.spare(name)
	case crateAgain:
		return nil, z.change(func() error { return z.again(name, params[1].(Content)) })
	case "service_start":
		return nil, z.change(func() error { return z.start(name) })
	case "service_kill":
		// A signal that goes to process 0 would be for zinit itself.
		s, err := z.status(name)
		if err != nil || s.PID == 0 {
			return nil, errors.Join(err, refuse(err == nil, ServiceIsDown, "service '%s' is down", name))
		}
		if _, err := ParseSignal(params[1].(string)); err != nil {
			return nil, &Error{Code: InvalidSignal, Message: err.Error()}
		}
		return nil, z.signal(s.PID, "service.kill", named{Name: name, Signal: params[1].(string)})
	}
	verb, ok := crateVerbs[m.name]
	if !ok {
		return nil, &Error{Code: MethodNotFound, Message: m.name + " is not in the crate dialect (zinit 0.3)"}
	}
	var result json.RawMessage
	var args any
	if name != "" {
		args = named{Name: name}
	}
	return &result, z.ask(verb, args, &result)
}

// change is for what adds or removes services, or starts one that may be moved.
func (z crate) change(f func() error) error {
	done, err := z.l.c.memory.change(z.ctx)
	if err != nil {
		return err
	}
	defer done()
	return f()
}

// refuse is an error of zinit's kind if it is one.
func refuse(is bool, code Code, format string, a ...any) error {
	if !is {
		return nil
	}
	return &Error{Code: code, Message: fmt.Sprintf(format, a...)}
}

// ask sends one request and reads its result into out (nil: ignored).
func (z crate) ask(method string, params, out any) error {
	reads := method != "service.set" && method != "service.delete" && method != "service.kill" && method != "system.shutdown"
	raw, err := z.l.ask(z.ctx, method, params, reads)
	if refused, ok := errors.AsType[*Error](err); ok {
		return crateRefusal(refused)
	}
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("%s: %w: result %.80q: %w", method, ErrDialect, raw, err)
	}
	return nil
}

// crateCodes are its numbers where they mean something else than in the other
// dialects, which are all but a few.
var crateCodes = map[Code]Code{
	-32000: ServiceNotFound,
	-32001: ServiceIsUp,
	-32002: ServiceIsDown,
	-32003: ConfigError,
	-32004: DependencyError, // a cycle
	-32005: DependencyError, // something depends on it
	-32010: ServiceAlreadyExists,
	-32011: ConfigError,
	-32012: DependencyError,
	-32013: ConfigError, // no such program
	-32014: ServiceFileError,
}

// crateWords tell its refusals apart that have no number.
var crateWords = []struct {
	mark string
	code Code
}{
	{"service not found", ServiceNotFound},
	{"service not running", ServiceIsDown},
	{"already exists", ServiceAlreadyExists},
	{"ESRCH", ServiceIsDown},
	{"unknown signal", InvalidSignal},
	{"has dependents", DependencyError},
}

func crateRefusal(e *Error) error {
	r := &Error{Code: e.Code, Message: e.Message, Data: e.Data}
	if code, ok := crateCodes[e.Code]; ok {
		r.Code = code
		return r
	}
	if e.Code == InternalError {
		for _, w := range crateWords {
			if strings.Contains(e.Message, w.mark) {
				r.Code = w.code
				return r
			}
		}
	}
	return r
}

// stopTries bounds how often one is stopped that ends by itself each time before it
// is: zinit then has its next start in hand, and does not take that back.
const stopTries = 5

// stop returns when the service has no process and will have none. That KILL follows
// is for zinit, after the time that its file gives.
func (z crate) stop(name string) error {
	f, err := z.config(name)
	if err != nil {
		return err
	}
	pending := false // its next start is in zinit's hand
	for range stopTries {
		s, shown, err := z.look(name)
		switch {
		case err != nil:
			return err
		case s.PID == 0 && shown != 0:
			return nil // lost to zinit, which would signal another; it is started by nobody
		case s.PID == 0:
			// One that waits for another is started with that, stopped or not, and one that was
			// stopped between two lives in its time.
			ours, open := z.l.c.memory.standsIn(name), z.inactive(s, f)
			due := s.Target == Up && (s.State.Ended() || ours && s.State.Kind == Blocked) || ours && open
			pending = pending || due && !f.Service.Oneshot
			// One that has ended well may rest as it is, and then stays as it is.
			if pending && s.State.Kind != Success && z.change(func() error { return z.rest(name) }) == nil {
				return nil
			}
			pending = pending || open
		}
		err = z.signal(s.PID, "service.stop", named{Name: name})
		switch {
		case s.PID != 0 && errors.Is(err, ServiceIsDown):
			// It had ended before zinit knew, and was refused: nothing is stopped.
		case err != nil:
			return ignoring(err, ServiceIsDown)
		case s.PID != 0:
			// KILL comes when its time is over; half of ours is left to see what that does.
			most, heard := f.grace()+z.l.c.opts.StopTimeout/2, false
			s, err = z.await(name, most, func(s Status) bool {
				heard = heard || s.PID != 0 && s.Target == Down
				return s.PID == 0 || s.Target == Up
			})
			switch {
			case err != nil:
				return ignoring(err, ServiceNotFound)
			case s.PID != 0 && s.Target == Down:
				return refuse(true, ProcessError, "service '%s' was told to stop, and PID %d lives on after %s and KILL", name, s.PID, most)
			case heard, s.PID == 0 && s.State.Ended() && s.Target == Down:
				return nil // also where somebody has started it since: that is his will
			}
			pending = !f.Service.Oneshot // it had ended before
		case pending && s.State.Kind == Success: // it may as well rest, which time alone tells
			s, err = z.await(name, crateDelayMax+2*crateLost, func(s Status) bool { return s.PID != 0 || s.Target == Down })
			if err != nil || s.Target == Down {
				return ignoring(err, ServiceNotFound)
			}
		case pending:
			s, err = z.await(name, f.pause()+crateLost, func(s Status) bool { return s.PID != 0 || s.State.Ended() })
			if err != nil {
				return ignoring(err, ServiceNotFound)
			}
			if s.PID == 0 && !s.State.Ended() {
				return refuse(f.Lifecycle.RestartDelayMax > ms(crateDelayMax), ProcessError, "service '%s' was about to be started again, "+
					"which this zinit does not take back: it may come up within %d ms, to be stopped then", name, f.Lifecycle.RestartDelayMax)
			}
		default:
			return nil
		}
	}
	return refuse(true, ProcessError, "service '%s' ends sooner than it can be stopped, and this zinit starts it again", name)
}

// inactive: the service has no process, and whether it will have one does not show.
func (z crate) inactive(s Status, f crateConfig) bool {
	return s.PID == 0 && s.State.Kind == Unknown && f.Service.Exec != "" && !f.idle() && !z.l.c.memory.wasStopped(s.Name)
}

// signal asks for what sends a signal to the group of pid. While there is no such group
// that process is about to lead it, or has left it and is out of this zinit's reach.
func (z crate) signal(pid int, method string, params named) error {
	for began := time.Now(); ; {
		err := z.ask(method, params, nil)
		if pid == 0 || !errors.Is(err, ServiceIsDown) {
			return err
		}
		switch s, fault := z.status(params.Name); {
		case fault != nil:
			return fault
		case s.PID != pid:
			return err // that one is down; the next is not meant
		case time.Since(began) > crateLost:
			return refuse(true, ProcessError, "service '%s': PID %d lives, and out of this zinit's reach: it is not in its process group", params.Name, pid)
		}
		if err := z.pause(crateLost / 100); err != nil {
			return err
		}
	}
}

// rest takes a service out that is about to be started again: with it goes its next
// start. One that is not ours alone to remove is put back as one that is started when
// somebody asks for it.
func (z crate) rest(name string) error {
	if z.l.c.memory.standsIn(name) {
		return z.remove(name)
	}
	f, err := z.whole(name)
	if err != nil {
		return err
	}
	f.status(crateStop)
	return z.replace(name, f)
}

// replace puts another in the place of a service, also where nobody waits for that any
// more: between the two there is none.
func (z crate) replace(name string, f wholeConfig) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(z.ctx), z.l.c.opts.Timeout)
	defer cancel()
	z.ctx = ctx
	if err := z.remove(name); err != nil {
		return err
	}
	z.l.c.memory.lives(name)
	return z.set(f)
}

// await looks until a status is as wanted, or the time is over.
func (z crate) await(name string, most time.Duration, want func(Status) bool) (Status, error) {
	for end, wait := time.Now().Add(most), time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		s, err := z.status(name)
		if err != nil || want(s) || time.Now().After(end) {
			return s, err
		}
		if err := z.pause(wait); err != nil {
			return s, err
		}
	}
}

func (z crate) pause(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-z.ctx.Done():
		return context.Cause(z.ctx)
	}
}
