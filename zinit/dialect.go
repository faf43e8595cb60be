package zinit

import (
	"bytes"
	"context"
	"fmt"
)

// Dialect is how a zinit is spoken to on its socket.
type Dialect string

const (
	// JSONRPC is that of zinit v0.2.15 to v0.2.28 and of our server.
	JSONRPC Dialect = "json-rpc"
	// Text is that of zinit v0.2.0 to v0.2.14: one command a connection. It has no
	// word for service files, which the client therefore writes itself, and none for
	// what a service uses. Our server understands it, too.
	Text Dialect = "text"
	// Crate is that of the rewrite which crates.io has as zinit (0.3): JSON-RPC with
	// other methods, another service file and another idea of what a service is
	// (see crate.go). Our server does not understand it.
	Crate Dialect = "crate"
)

// dialects is how many there are, and so how often one call may change its mind.
const dialects = 3

// foreign says that who answers speaks another dialect than was tried. Nothing
// was done: no request of one has a meaning in another.
type foreign struct {
	speaks Dialect
	answer []byte
	pid    int // of who answers, where that was asked
}

func (f foreign) Error() string {
	return fmt.Sprintf("%v: answer %.80q is of the %s dialect", ErrDialect, f.answer, f.speaks)
}

func (f foreign) Unwrap() error { return ErrDialect }

// speaker recognises a dialect by an answer.
func speaker(answer []byte) (Dialect, bool) {
	switch {
	case bytes.Contains(answer, []byte(`"jsonrpc":"2.0"`)):
		return JSONRPC, true
	case bytes.Contains(answer, []byte(`"state":"error"`)), bytes.Contains(answer, []byte(`"state":"ok"`)):
		return Text, true
	}
	return "", false
}

// Dialect is what zinit speaks. It is found out by the first call, and again when
// a zinit of another kind answers at the same socket.
func (c *Client) Dialect(ctx context.Context) (Dialect, error) {
	if _, err := c.List(ctx); err != nil {
		return "", err
	}
	return c.spoken(), nil
}

func (c *Client) spoken() Dialect {
	if d, ok := c.dialect.Load().(Dialect); ok {
		return d
	}
	return JSONRPC
}

// knownText says that who listens, a process, may speak more than text: it is not the one
// that was found to speak nothing else, and ours understands text as well.
func (c *Client) knownText(pid int) error {
	if c.opts.Dialect != "" || int64(pid) == c.text.Load() {
		return nil
	}
	return foreign{speaks: JSONRPC}
}
