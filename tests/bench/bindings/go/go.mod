module bindings

go 1.19

require flagstore v0.2.0

replace flagstore => ../../../../include/go
