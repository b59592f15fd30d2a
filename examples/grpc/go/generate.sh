#!/bin/sh
# Go code from proto/, into antiphonv1/ (not kept in the repository). Needs protoc, or Python with grpcio-tools, which
# brings it: PROTOC="python -m grpc_tools.protoc" ./generate.sh
set -eu
cd "$(dirname "$0")"
mkdir -p antiphonv1
# The module of this example stands before the path that the .proto files say.
${PROTOC:-protoc} -I ../../../proto \
    --plugin=protoc-gen-go="$(go tool -n protoc-gen-go)" \
    --plugin=protoc-gen-go-grpc="$(go tool -n protoc-gen-go-grpc)" \
    --go_out=. --go_opt=module=antiphon.example/talk \
    --go_opt=Mantiphon/v1/conversation.proto=antiphon.example/talk/antiphonv1 \
    --go_opt=Mantiphon/v1/synthesis.proto=antiphon.example/talk/antiphonv1 \
    --go-grpc_out=. --go-grpc_opt=module=antiphon.example/talk \
    --go-grpc_opt=Mantiphon/v1/conversation.proto=antiphon.example/talk/antiphonv1 \
    --go-grpc_opt=Mantiphon/v1/synthesis.proto=antiphon.example/talk/antiphonv1 \
    antiphon/v1/conversation.proto antiphon/v1/synthesis.proto
