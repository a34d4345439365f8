package maps

func reasonNames() []string { return nil }
