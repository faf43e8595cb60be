package zinit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// List is the state of each service that zinit monitors.
func (c *Client) List(ctx context.Context) (map[string]State, error) {
	var all map[string]State
	err := c.call(ctx, method{name: "service_list", reads: true}, c.opts.Timeout, &all)
	return all, err
}

// Status is what zinit knows of a service.
func (c *Client) Status(ctx context.Context, name string) (Status, error) {
	var s Status
	err := c.call(ctx, method{name: "service_status", reads: true, names: true}, c.opts.Timeout, &s, name)
	return s, err
}

// Start sets the target Up. It is no error if the service runs already.
func (c *Client) Start(ctx context.Context, name string) error {
	return c.call(ctx, method{name: "service_start", names: true}, c.opts.Timeout, nil, name)
}

// Stop sets the target Down and ends the process. Our server answers when the
// whole process group is gone, the original after a second or more even if
// something survived. Bounded by Options.StopTimeout.
func (c *Client) Stop(ctx context.Context, name string) error {
	return c.stop(ctx, name, c.opts.StopTimeout)
}

func (c *Client) stop(ctx context.Context, name string, within time.Duration) error {
	return c.call(ctx, method{name: "service_stop", names: true, waits: true}, within, nil, name)
}

// StopInItsTime is Stop for a service whose own grace may be longer than Options.StopTimeout,
// by which that is lengthened.
func (c *Client) StopInItsTime(ctx context.Context, name string) error {
	return c.stop(ctx, name, c.stopTime(ctx, name))
}

// stopPatiently is StopInItsTime, again and again while zinit lets the time pass but answers
// other calls: then it is there, and is waited for.
func (c *Client) stopPatiently(ctx context.Context, name string) error {
	within := c.stopTime(ctx, name)
	for {
		err := c.stop(ctx, name, within)
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if _, silent := c.List(ctx); silent != nil {
			return err
		}
	}
}

// stopTime is what a stop may take. With a zinit of the text dialect the KILL at the end of
// the grace is the client's, and a stop that is told again would begin a new grace.
func (c *Client) stopTime(ctx context.Context, name string) time.Duration {
	have, err := c.Get(ctx, name)
	if err != nil {
		return c.opts.StopTimeout
	}
	return c.opts.StopTimeout + max(have.Grace(), have.StopGrace())
}

// Kill sends a signal ("SIGTERM") to the service's process group and leaves its
// target alone: with the target Up zinit starts the process again.
func (c *Client) Kill(ctx context.Context, name, signal string) error {
	return c.call(ctx, method{name: "service_kill", names: true}, c.opts.Timeout, nil, name, signal)
}

// Monitor has zinit load the service's file and start it.
func (c *Client) Monitor(ctx context.Context, name string) error {
	return c.call(ctx, method{name: "service_monitor"}, c.opts.Timeout, nil, name)
}

// Forget ends the monitoring of a service that is stopped. Its file stays.
func (c *Client) Forget(ctx context.Context, name string) error {
	return c.call(ctx, method{name: "service_forget", names: true}, c.opts.Timeout, nil, name)
}

// Create writes the service's file. ServiceAlreadyExists if there is one,
// whatever it holds.
func (c *Client) Create(ctx context.Context, name string, s Service) error {
	return c.create(ctx, "service_create", name, s)
}

func (c *Client) create(ctx context.Context, how, name string, s Service) error {
	if err := ValidName(name); err != nil {
		return fmt.Errorf("create service: %w", err)
	}
	content, err := s.Content()
	if err != nil {
		return fmt.Errorf("create service %s: %w", name, err)
	}
	return c.call(ctx, method{name: how}, c.opts.Timeout, nil, name, content)
}

// TakeUp is Create and Monitor: zinit runs a service that it did not know.
func (c *Client) TakeUp(ctx context.Context, name string, s Service) error {
	if c.keeps(ctx) {
		err := c.create(ctx, crateTake, name, s)
		if !errors.Is(err, MethodNotFound) {
			return err
		} // another is there by now
	}
	if err := c.Create(ctx, name, s); err != nil {
		return err
	}
	return c.Monitor(ctx, name)
}

// startAgain starts a stopped service of a zinit that keeps them, if it is as s.
func (c *Client) startAgain(ctx context.Context, name string, s Service) error {
	return c.create(ctx, crateAgain, name, s)
}

// spares says why a service could not be made anew, once it is stopped: a zinit that keeps
// them may lose sight of another with its removal.
func (c *Client) spares(ctx context.Context, name string) error {
	if !c.keeps(ctx) {
		return nil
	}
	return c.call(ctx, method{name: crateSpare, reads: true, names: true}, c.opts.Timeout, nil, name)
}

// isDefined reports whether the file of a service says what s does. One that can not be
// read does not.
func (c *Client) isDefined(ctx context.Context, name string, s Service) (bool, error) {
	want, err := s.Content()
	if err != nil {
		return false, local{err}
	}
	if c.keeps(ctx) {
		err := c.create(ctx, crateSame, name, s)
		if _, refused := errors.AsType[*Error](err); refused {
			return false, nil
		}
		return err == nil, err
	}
	have, err := c.Get(ctx, name)
	if away(err) && !errors.Is(err, ErrDialect) {
		return false, err
	}
	got, bad := have.Content()
	return err == nil && bad == nil && sameJSON(got, want), nil
}

// Remove is Delete and Forget: of a service that is stopped, nothing is left. Who is killed between the two leaves what
// is listed still; a file alone would not be, and started by the next zinit. What is up keeps its file: without, the
// next zinit would not know its process.
func (c *Client) Remove(ctx context.Context, name string) error {
	if !c.keeps(ctx) {
		st, err := c.Status(ctx, name)
		if err = ignoring(err, ServiceNotFound); err != nil {
			return err
		}
		if err := refuse(st.PID != 0 || st.Target == Up, ServiceIsUp, "service '%s' is up", name); err != nil {
			return fmt.Errorf("remove %s: %w", name, err)
		}
	}
	if err := ignoring(c.Delete(ctx, name), ServiceNotFound); err != nil || c.keeps(ctx) {
		return err
	}
	return ignoring(c.Forget(ctx, name), ServiceNotFound)
}

// Delete removes the service's file. A monitored service goes on.
func (c *Client) Delete(ctx context.Context, name string) error {
	return c.call(ctx, method{name: "service_delete"}, c.opts.Timeout, nil, name)
}

// Get is what the service's file says, which need not be what runs.
func (c *Client) Get(ctx context.Context, name string) (Service, error) {
	var content Content
	if err := c.call(ctx, method{name: "service_get", reads: true}, c.opts.Timeout, &content, name); err != nil {
		return Service{}, err
	}
	s, err := content.Service()
	if err != nil {
		return Service{}, fmt.Errorf("service_get %s: %w", name, local{err}) // zinit has answered
	}
	return s, nil
}

// statsTime is what the original takes to measure: two samples half a second
// apart, and more on a busy machine.
const statsTime = 3 * time.Second

// Stats measures what a service uses, which takes a moment (over a second with
// the original).
func (c *Client) Stats(ctx context.Context, name string) (Stats, error) {
	var s Stats
	err := c.call(ctx, method{name: "service_stats", reads: true, names: true}, c.opts.Timeout+statsTime, &s, name)
	return s, err
}

// Shutdown stops all services, dependents first, and ends zinit. With the
// original outside of a container that powers the machine off. Bounded by
// Options.StopTimeout.
func (c *Client) Shutdown(ctx context.Context) error {
	return c.call(ctx, method{name: "system_shutdown", waits: true}, c.opts.StopTimeout, nil)
}

// Reboot is Shutdown, and the machine starts anew: with the original outside of a
// container, and with ours where that is the machine's first process.
func (c *Client) Reboot(ctx context.Context) error {
	return c.call(ctx, method{name: "system_reboot"}, c.opts.StopTimeout, nil)
}

// CurrentLogs is what the ring holds of a service, or of all for "". Each line
// begins with "[+] name: " (stdout) or "[-] name: " (stderr).
func (c *Client) CurrentLogs(ctx context.Context, name string) ([]string, error) {
	var lines []string
	err := c.call(ctx, method{name: "stream_currentLogs", reads: true}, c.opts.Timeout, &lines, filter(name))
	return lines, err
}

// filter is a service's name as the log calls take it: null for all.
func filter(name string) any {
	if name == "" {
		return nil
	}
	return name
}

// Discover is zinit's description of itself, an OpenRPC document. The original
// sends it as a string of JSON, where the document itself declares an object;
// both are taken.
func (c *Client) Discover(ctx context.Context) (json.RawMessage, error) {
	var raw json.RawMessage
	if err := c.call(ctx, method{name: "rpc.discover", reads: true}, c.opts.Timeout, &raw); err != nil {
		return nil, err
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	if !json.Valid(raw) {
		return nil, fmt.Errorf("rpc.discover: %w: not a JSON document", ErrDialect)
	}
	return raw, nil
}

// Extends reports whether the zinit is our server, which alone knows the keys of
// Extension.
func (c *Client) Extends(ctx context.Context) bool {
	doc, err := c.Discover(ctx)
	return err == nil && bytes.Contains(doc, []byte(Title))
}

// Title is how our server names itself in the answer to rpc.discover.
const Title = "zinit, as served by herosup"
