package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/kballard/go-shellquote"

	"herosup/zinit"
	"herosup/zinit/wire"
)

// textCommand is what a command of the text dialect stands for.
type textCommand struct {
	method string
	words  int  // parameters
	more   bool // further ones are taken and mean nothing, as in the original
}

// textCommands are those of research/zinit.md 2, but for log.
var textCommands = map[string]textCommand{
	"list":     {"service_list", 0, true},
	"shutdown": {"system_shutdown", 0, true},
	"reboot":   {"system_reboot", 0, true},
	"status":   {"service_status", 1, false},
	"start":    {"service_start", 1, false},
	"stop":     {"service_stop", 1, false},
	"monitor":  {"service_monitor", 1, false},
	"forget":   {"service_forget", 1, false},
	"kill":     {"service_kill", 2, false},
}

// readText serves a client of the text dialect: one command, one answer. Who
// closes its side of the connection still gets it; a log that is followed ends then.
func (c *conn) readText(server context.Context, scan *wire.Scanner, calls *sync.WaitGroup) {
	if err := c.net.SetReadDeadline(time.Now().Add(messageTimeout)); err != nil {
		return
	}
	c.net.loose = false
	line, err := scan.Line()
	switch {
	case errors.Is(err, wire.ErrTooLong):
		c.reply(nil, err)
		return
	case err != nil:
		return
	}
	words, err := shellquote.Split(line)
	switch {
	case err != nil:
		c.reply(nil, errors.New("invalid command syntax"))
	case len(words) == 0:
		c.reply(nil, errors.New("unknown command"))
	case words[0] == "log" && len(words) == 1:
		// The server's end may have come before the deadline was moved.
		if c.net.SetReadDeadline(time.Time{}) == nil && server.Err() == nil {
			calls.Go(c.textLog)
			c.net.loose = true
			_, _ = io.Copy(io.Discard, c.net)
		}
	case slices.Equal(words, []string{"log", "snapshot"}):
		for _, l := range c.api.logs.snapshot("") {
			c.put([]byte(l + "\n"))
		}
	case words[0] == "log":
		c.reply(nil, errors.New("invalid log command arguments"))
	default:
		c.reply(c.command(words))
	}
}

// command does what a command says.
func (c *conn) command(words []string) (any, error) {
	t, ok := textCommands[words[0]]
	if given := len(words) - 1; !ok || given < t.words || given > t.words && !t.more {
		return nil, errors.New("unknown command '" + words[0] + "' or wrong arguments count")
	}
	e, _ := c.api.endpointOf(t.method)
	raw, err := json.Marshal(words[1 : 1+t.words])
	if err != nil {
		return nil, err
	}
	p, err := bind(e.params, raw)
	if err != nil {
		return nil, err
	}
	if t.method == "system_shutdown" || t.method == "system_reboot" { // answered before it is done
		c.last = func() { _, _ = e.do(c.api, context.WithoutCancel(c.ctx), p) }
		return nil, nil
	}
	return e.do(c.api, c.ctx, p)
}

// reply sends the answer to a command.
func (c *conn) reply(body any, err error) {
	r := wire.Reply{State: wire.StateOK}
	if err != nil {
		r.State, body = wire.StateError, err.Error()
		if e, ok := errors.AsType[*zinit.Error](err); ok {
			body = zinit.TextOf(e)
		}
	}
	if r.Body, err = wire.Encode(body); err != nil {
		return // strings, numbers and maps of them
	}
	if msg, err := wire.Encode(r); err == nil {
		c.put(msg[:len(msg)-1]) // the object alone, without a line's end
	}
}

// textLog sends the lines that are kept and then those that come, until the
// client goes. Those that come while the kept ones are read are not sent twice.
func (c *conn) textLog() {
	kept, f := c.api.logs.tail()
	defer c.api.logs.unfollow(f)
	for _, l := range kept {
		c.putLine([]byte(l + "\n"))
	}
	for {
		select {
		case l := <-f.lines:
			c.putLine([]byte(l + "\n"))
		case <-c.ctx.Done():
			return
		case <-c.subs.ctx.Done(): // the server ends
			return
		}
	}
}
