package zinit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"herosup/zinit/wire"
)

// textVerbs are the commands of the text dialect (research/zinit.md 2) by the
// methods that they stand for. The parameters follow in the same order.
var textVerbs = map[string]string{
	"service_list":    "list",
	"service_status":  "status",
	"service_start":   "start",
	"service_stop":    "stop",
	"service_monitor": "monitor",
	"service_forget":  "forget",
	"service_kill":    "kill",
	"system_shutdown": "shutdown",
	"system_reboot":   "reboot",
}

// asText has a method done by a zinit of the text dialect, and gives the result
// that one of the JSON-RPC dialect would have given.
func (c *Client) asText(ctx context.Context, m method, params []any) (json.RawMessage, error) {
	name := ""
	if len(params) > 0 {
		name, _ = params[0].(string)
	}
	if strings.HasPrefix(m.name, "service_") && m.name != "service_list" {
		if err := ValidName(name); err != nil { // such a zinit takes "../x" for a name
			return nil, &Error{Code: InvalidServiceName, Message: err.Error()}
		}
	}
	switch m.name {
	case "service_create", "service_delete", "service_get":
		return c.fileAsText(m.name, name, params)
	case "stream_currentLogs":
		lines, err := c.keptAsText(ctx, name)
		if err != nil {
			return nil, err
		}
		return json.Marshal(lines)
	}
	verb, ok := textVerbs[m.name]
	if !ok {
		return nil, &Error{Code: MethodNotFound, Message: m.name + " is not in the text dialect (zinit v0.2.14 and before)"}
	}
	words := []string{verb}
	for _, p := range params {
		words = append(words, fmt.Sprint(p))
	}
	body, err := c.command(ctx, words...)
	if m.name == "service_stop" && err == nil {
		err = c.awaitStop(ctx, name)
	}
	return body, err
}

// dialText is a connection to who is known to speak text and no more.
func (c *Client) dialText(ctx context.Context) (*conn, error) {
	k, err := dial(ctx, c.socket)
	if err != nil {
		return nil, err
	}
	if err := c.knownText(k.listener()); err != nil {
		k.close()
		return nil, err
	}
	return k, nil
}

// command sends one command over a connection of its own.
func (c *Client) command(ctx context.Context, words ...string) (json.RawMessage, error) {
	k, err := c.dialText(ctx)
	if err != nil {
		return nil, err
	}
	defer k.close()
	defer k.bound(ctx)()
	if _, err := k.net.Write([]byte(quote(words) + "\n")); err != nil {
		return nil, ended(ctx, err)
	}
	answer, err := k.scan.Next()
	if err != nil {
		if errors.Is(err, wire.ErrGarbage) {
			return nil, fmt.Errorf("%w: no JSON in the answer to %s", ErrDialect, words[0])
		}
		return nil, fmt.Errorf("%w: %w", ErrUnanswered, ended(ctx, err))
	}
	var r wire.Reply
	err = json.Unmarshal(answer, &r)
	switch {
	case err == nil && r.State == wire.StateOK:
		return r.Body, nil
	case err == nil && r.State == wire.StateError:
		var text string
		if json.Unmarshal(r.Body, &text) != nil {
			text = string(r.Body)
		}
		return nil, textRefusal(text)
	}
	if d, known := speaker(answer); known {
		return nil, foreign{speaks: d, answer: answer}
	}
	return nil, fmt.Errorf("%w: answer %.80q", ErrDialect, answer)
}

// awaitStop returns when a service that was told to stop has no process. The
// server has only sent the signal, and never sends another: that KILL follows
// when the grace is over is for us.
func (c *Client) awaitStop(ctx context.Context, name string) error {
	grace := DefaultShutdownTimeout
	if dir, err := c.folder(); err == nil {
		if s, err := dir.Load(name); err == nil {
			grace = s.Grace()
		}
	}
	kill := time.NewTimer(grace)
	defer kill.Stop()
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		body, err := c.command(ctx, "status", name)
		if err != nil {
			return ignoring(err, ServiceNotFound)
		}
		var s Status
		if err := json.Unmarshal(body, &s); err != nil {
			return fmt.Errorf("%w: status %.80q: %w", ErrDialect, body, err)
		}
		if s.PID == 0 || s.Target == Up { // somebody has started it again
			return nil
		}
		select {
		case <-time.After(wait):
		case <-kill.C:
			if _, err := c.command(ctx, "kill", name, "SIGKILL"); err != nil {
				return ignoring(err, ServiceIsDown)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// fileAsText does what is done to service files, in the folder itself.
func (c *Client) fileAsText(method, name string, params []any) (json.RawMessage, error) {
	dir, err := c.folder()
	if err != nil {
		return nil, err
	}
	var result json.RawMessage
	switch method {
	case "service_create":
		var content []byte
		if content, err = json.Marshal(params[1]); err == nil {
			err = dir.Create(name, content)
		}
	case "service_delete":
		err = dir.Remove(name)
	case "service_get":
		result, err = dir.Get(name)
	}
	switch {
	case errors.Is(err, ErrExists):
		return nil, &Error{Code: ServiceAlreadyExists, Message: fmt.Sprintf("service '%s' already exists", name)}
	case errors.Is(err, os.ErrNotExist) && method != "service_create": // of which that is the folder
		return nil, &Error{Code: ServiceNotFound, Message: fmt.Sprintf("service '%s' not found", name)}
	case err != nil:
		return nil, &Error{Code: ServiceFileError, Message: err.Error()}
	}
	return result, nil
}

// folder is where zinit has its service files: the one that the options name, or
// the folder that the process behind the socket works in, which is the same with
// every version of the text dialect.
func (c *Client) folder() (Folder, error) {
	if c.opts.Dir != "" {
		return Folder(c.opts.Dir), nil
	}
	dir := ""
	pid, err := wire.PeerPID(c.socket)
	if err == nil {
		if err := c.knownText(pid); err != nil {
			return "", err
		}
		dir, err = wire.DirOf(pid)
	}
	if err != nil {
		return "", fmt.Errorf("find the folder of zinit's service files: %w (run as the user that zinit runs as)", err)
	}
	return Folder(dir), nil
}

// keptAsText is the content of the ring. Versions before v0.2.11 have no command
// that gives it and ends: MethodNotFound.
func (c *Client) keptAsText(ctx context.Context, name string) ([]string, error) {
	s, err := c.logAsText(ctx, "log", "snapshot")
	if err != nil {
		return nil, err
	}
	defer s.Close()
	lines := []string{}
	for size := 0; size <= wire.MaxMessage; {
		line, err := s.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return lines, nil
		case err != nil:
			return nil, err
		}
		size += len(line)
		if name == "" || of(line, name) {
			lines = append(lines, line)
		}
	}
	return nil, fmt.Errorf("%w: a log of over %d bytes", wire.ErrTooLong, wire.MaxMessage)
}

// logAsText sends a log command; its answer is lines.
func (c *Client) logAsText(ctx context.Context, words ...string) (*LogStream, error) {
	k, err := c.dialText(ctx)
	if err != nil {
		return nil, err
	}
	stop := k.bound(ctx)
	_, err = k.net.Write([]byte(quote(words) + "\n"))
	stop()
	if err != nil {
		k.close()
		return nil, ended(ctx, err)
	}
	return &LogStream{conn: k, text: true}, nil
}

// of tells whether a line is of a service: behind four bytes that say which
// stream it is of, as the original's own client cuts it.
func of(line, name string) bool {
	return len(line) > 4 && strings.HasPrefix(line[4:], name+":")
}
