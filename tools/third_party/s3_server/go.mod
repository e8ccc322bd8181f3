module penstock.test/s3server

go 1.21.0

require github.com/versity/versitygw v1.0.10 // indirect
