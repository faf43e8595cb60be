package server

import (
	"fmt"

	"herosup/zinit"
)

// refuse is an error answer with all the data of research/zinit.md 3.3. action
// is what was being done ("stopping service"), text what is wrong with it.
func refuse(code zinit.Code, action, service, text, hint string) *zinit.Error {
	return &zinit.Error{
		Code:    code,
		Message: action + ": " + text,
		Data: &zinit.ErrorData{
			CodeName: code.String(), Service: service, Action: action,
			Retryable: new(code == zinit.ServiceAlreadyMonitored || code == zinit.ServiceIsDown),
			Causes:    []string{text},
			Hint:      hint,
		},
	}
}

func notFound(action, service string) *zinit.Error {
	return refuse(zinit.ServiceNotFound, action, service, fmt.Sprintf("service '%s' not found", service),
		"list shows the services there are")
}

func shuttingDown(action, service string) *zinit.Error {
	return refuse(zinit.ShuttingDown, action, service, "zinit is shutting down", "")
}

func badName(action, service string, err error) *zinit.Error {
	return refuse(zinit.InvalidServiceName, action, service, err.Error(), "")
}

func fileError(action, service string, err error) *zinit.Error {
	return refuse(zinit.ServiceFileError, action, service, err.Error(), "")
}

// badParams is what a call with the wrong parameters is answered.
func badParams(method, text string) *zinit.Error {
	e := refuse(zinit.InvalidServiceName, method, "", text, "rpc.discover describes the parameters")
	e.Data.CodeName = "InvalidParams" // the standard's meaning of the same number
	return e
}
