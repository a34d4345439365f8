// Package v4 serves balancers, configs and nodes to clients of the NodeBalancer API, version 4: the same paths,
// fields, defaults, pages, filters and errors, under /v4 and /v4beta.
//
// What an object has is a table of properties (balancer.go, config.go, node.go), by which answers are written,
// requests read, and both described. Keys of the vocabulary (pkg/lb) that version 4 does not know are among them as
// extensions, which an answer leaves out while they have their default.
//
// A request is one change of the store, whole or not at all. All that is wrong with it is in one answer.
package v4
