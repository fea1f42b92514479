module flagstoretest

go 1.19

require flagstore v0.0.0

replace flagstore => ../../include/go
