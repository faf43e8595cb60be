package zinit

import (
	"errors"
	"fmt"
	"strconv"
)

// Code is the number of an error that a zinit answers with.
type Code int

// The codes of research/zinit.md 3.3.
const (
	ServiceNotFound         Code = -32000
	ServiceAlreadyMonitored Code = -32001
	ServiceIsUp             Code = -32002
	ServiceIsDown           Code = -32003
	InvalidSignal           Code = -32004
	ConfigError             Code = -32005
	ShuttingDown            Code = -32006
	ServiceAlreadyExists    Code = -32007
	ServiceFileError        Code = -32008
	// DependencyError is a service in After that is not there (from the crate
	// dialect alone: any other zinit takes such a service and has it wait), or one
	// that comes after this and would go with it.
	DependencyError Code = -32010
	// ProcessError is a removal that would make a zinit of the crate dialect lose
	// sight of another service's process; no other zinit gives it.
	ProcessError Code = -32011

	InvalidServiceName Code = -32602
	InternalError      Code = -32603
	MethodNotFound     Code = -32601
	InvalidRequest     Code = -32600
	ParseError         Code = -32700
)

var codeNames = map[Code]string{
	ServiceNotFound:         "ServiceNotFound",
	ServiceAlreadyMonitored: "ServiceAlreadyMonitored",
	ServiceIsUp:             "ServiceIsUp",
	ServiceIsDown:           "ServiceIsDown",
	InvalidSignal:           "InvalidSignal",
	ConfigError:             "ConfigError",
	ShuttingDown:            "ShuttingDown",
	ServiceAlreadyExists:    "ServiceAlreadyExists",
	ServiceFileError:        "ServiceFileError",
	DependencyError:         "DependencyError",
	ProcessError:            "ProcessError",
	InvalidServiceName:      "InvalidServiceName",
	InternalError:           "InternalError",
	MethodNotFound:          "MethodNotFound",
	InvalidRequest:          "InvalidRequest",
	ParseError:              "ParseError",
}

// String is the name that a zinit gives the code, or its number.
func (c Code) String() string {
	if n, ok := codeNames[c]; ok {
		return n
	}
	return strconv.Itoa(int(c))
}

// Error makes a Code usable as the target of errors.Is.
func (c Code) Error() string { return c.String() }

// Error is a refusal by zinit itself: it was reached and said no. Failures to
// reach it are other errors. errors.Is(err, zinit.ServiceNotFound) and the
// like tell them apart.
type Error struct {
	Code    Code
	Message string
	// Data is what v0.2.28 and our server add, nil from the versions before,
	// which answer almost everything with InternalError. The client then asks what
	// was the matter (refine), so that the codes can be relied on with all.
	Data *ErrorData
}

// ErrorData is the detail behind an Error.
type ErrorData struct {
	CodeName  string   `json:"code_name"`
	Service   string   `json:"service,omitempty"`
	Signal    string   `json:"signal,omitempty"`
	Action    string   `json:"action"`
	Retryable *bool    `json:"retryable,omitempty"`
	Causes    []string `json:"cause_chain,omitempty"`
	Hint      string   `json:"hint,omitempty"`
}

// Error is the message with the code's name, and the hint when there is one.
func (e *Error) Error() string {
	s := fmt.Sprintf("zinit refused: %s (%s)", e.Message, e.Code)
	if e.Data != nil && e.Data.Hint != "" {
		s += "; " + e.Data.Hint
	}
	return s
}

// Is matches a Code.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == e.Code
}

// What can go wrong before zinit has said anything.
var (
	// ErrNoServer says that nobody answers at the socket's path.
	ErrNoServer = errors.New("no zinit there")
	// ErrNotASocket says that the path names something else.
	ErrNotASocket = errors.New("not a socket")
	// ErrDialect says that who answers speaks no dialect of zinit's, or not the one
	// that Options ask for.
	ErrDialect = errors.New("does not speak zinit's dialect")
	// ErrUnanswered says that a request was sent and the connection ended
	// before its answer: it may have been done or not.
	ErrUnanswered = errors.New("connection lost before the answer")
	// ErrClosed says that the client was closed.
	ErrClosed = errors.New("zinit client is closed")
)
