// SPDX-License-Identifier: Apache-2.0
// The plain cases of gRPC's interop client in C++: interop_client HOST:PORT CASE...
// Prints {"case": ..., "ok": ..., "why": ...} for each.
#include <grpcpp/grpcpp.h>

#include <array>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>

#include "interop.grpc.pb.h"

using grpc::ClientContext;
using grpc::Status;
using grpc::StatusCode;
namespace pb = grpc::testing;

static const char *const ECHO_INITIAL = "x-grpc-test-echo-initial";
static const char *const ECHO_TRAILING = "x-grpc-test-echo-trailing-bin";
static const int LARGE_REQUEST = 271828;
static const int LARGE_RESPONSE = 314159;
static const std::array<int, 4> REQUEST_SIZES = {27182, 8, 1828, 45904};
static const std::array<int, 4> RESPONSE_SIZES = {31415, 9, 2653, 58979};
static const char *const SPECIAL_MESSAGE = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n";
static const int SOAK_ROUNDS = 20;

static std::string target;

static std::shared_ptr<grpc::Channel> open_channel()
{
    grpc::ChannelArguments arguments;

    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
}

static void check(bool is_so, const std::string &what)
{
    if (!is_so) {
        throw std::runtime_error(what);
    }
}

static void check_status(const Status &status, StatusCode code)
{
    check(status.error_code() == code, "status " + std::to_string(status.error_code()) + " " + status.error_message());
}

static void check_status(const Status &status, StatusCode code, const std::string &message)
{
    check_status(status, code);
    check(status.error_message() == message, "message " + status.error_message());
}

struct Context : ClientContext { // the limit is only there to end a hang
    Context()
    {
        set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    }
};

static std::string zeros(int size)
{
    return std::string(static_cast<size_t>(size), '\0');
}

static pb::SimpleRequest large_request()
{
    pb::SimpleRequest request;

    request.set_response_size(LARGE_RESPONSE);
    request.mutable_payload()->set_body(zeros(LARGE_REQUEST));
    return request;
}

static pb::StreamingOutputCallRequest duplex_request(int response_size, int request_size)
{
    pb::StreamingOutputCallRequest request;

    request.add_response_parameters()->set_size(response_size);
    request.mutable_payload()->set_body(zeros(request_size));
    return request;
}

// ---- the cases ----

using Stub = pb::TestService::Stub;

static void empty_unary(Stub &stub)
{
    Context context;
    pb::Empty reply;

    check_status(stub.EmptyCall(&context, {}, &reply), StatusCode::OK);
}

static void large_unary(Stub &stub)
{
    Context context;
    pb::SimpleResponse reply;

    check_status(stub.UnaryCall(&context, large_request(), &reply), StatusCode::OK);
    check(reply.payload().body() == zeros(LARGE_RESPONSE), "another body");
}

static void client_streaming(Stub &stub)
{
    Context context;
    pb::StreamingInputCallResponse reply;
    auto writer = stub.StreamingInputCall(&context, &reply);
    int total = 0;

    for (int size : REQUEST_SIZES) {
        pb::StreamingInputCallRequest request;
        request.mutable_payload()->set_body(zeros(size));
        check(writer->Write(request), "write");
        total += size;
    }
    writer->WritesDone();
    check_status(writer->Finish(), StatusCode::OK);
    check(reply.aggregated_payload_size() == total, "another sum");
}

static void server_streaming(Stub &stub)
{
    Context context;
    pb::StreamingOutputCallRequest request;
    pb::StreamingOutputCallResponse response;
    size_t count = 0;

    for (int size : RESPONSE_SIZES) {
        request.add_response_parameters()->set_size(size);
    }
    auto reader = stub.StreamingOutputCall(&context, request);
    while (reader->Read(&response)) {
        check(count < RESPONSE_SIZES.size() && response.payload().body() == zeros(RESPONSE_SIZES[count]), "another message");
        count++;
    }
    check_status(reader->Finish(), StatusCode::OK);
    check(count == RESPONSE_SIZES.size(), std::to_string(count) + " messages");
}

static void ping_pong(Stub &stub)
{
    Context context;
    pb::StreamingOutputCallResponse response;
    auto stream = stub.FullDuplexCall(&context);

    for (size_t i = 0; i < REQUEST_SIZES.size(); i++) {
        check(stream->Write(duplex_request(RESPONSE_SIZES[i], REQUEST_SIZES[i])), "write");
        check(stream->Read(&response), "read");
        check(response.payload().body() == zeros(RESPONSE_SIZES[i]), "another message");
    }
    stream->WritesDone();
    check(!stream->Read(&response), "one message too many");
    check_status(stream->Finish(), StatusCode::OK);
}

static void empty_stream(Stub &stub)
{
    Context context;
    pb::StreamingOutputCallResponse response;
    auto stream = stub.FullDuplexCall(&context);

    stream->WritesDone();
    check(!stream->Read(&response), "a message came");
    check_status(stream->Finish(), StatusCode::OK);
}

static void cancel_after_begin(Stub &stub)
{
    Context context;
    pb::StreamingInputCallResponse reply;
    auto writer = stub.StreamingInputCall(&context, &reply);

    context.TryCancel();
    check_status(writer->Finish(), StatusCode::CANCELLED);
}

static void cancel_after_first_response(Stub &stub)
{
    Context context;
    pb::StreamingOutputCallResponse response;
    auto stream = stub.FullDuplexCall(&context);

    check(stream->Write(duplex_request(RESPONSE_SIZES[0], REQUEST_SIZES[0])), "write");
    check(stream->Read(&response), "read");
    context.TryCancel();
    check_status(stream->Finish(), StatusCode::CANCELLED);
}

static void timeout_on_sleeping_server(Stub &stub)
{
    ClientContext context;
    pb::StreamingOutputCallRequest request;

    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(1));
    auto stream = stub.FullDuplexCall(&context);
    request.mutable_payload()->set_body(zeros(REQUEST_SIZES[0]));
    stream->Write(request);
    check_status(stream->Finish(), StatusCode::DEADLINE_EXCEEDED);
}

static void fails_unary(Stub &stub, const std::string &message)
{
    Context context;
    pb::SimpleRequest request;
    pb::SimpleResponse reply;

    request.mutable_response_status()->set_code(StatusCode::UNKNOWN);
    request.mutable_response_status()->set_message(message);
    check_status(stub.UnaryCall(&context, request, &reply), StatusCode::UNKNOWN, message);
}

static void status_code_and_message(Stub &stub)
{
    const std::string message = "test status message";
    Context context;
    pb::StreamingOutputCallRequest request;
    pb::StreamingOutputCallResponse response;

    fails_unary(stub, message);
    auto stream = stub.FullDuplexCall(&context);
    request.mutable_response_status()->set_code(StatusCode::UNKNOWN);
    request.mutable_response_status()->set_message(message);
    stream->Write(request);
    stream->WritesDone();
    check(!stream->Read(&response), "a message came");
    check_status(stream->Finish(), StatusCode::UNKNOWN, message);
}

static void special_status_message(Stub &stub)
{
    fails_unary(stub, SPECIAL_MESSAGE);
}

static void unimplemented_method(Stub &stub)
{
    Context context;
    pb::Empty reply;

    check_status(stub.UnimplementedCall(&context, {}, &reply), StatusCode::UNIMPLEMENTED);
}

static void unimplemented_service(Stub &)
{
    Context context;
    pb::Empty reply;
    auto other = pb::UnimplementedService::NewStub(open_channel());

    check_status(other->UnimplementedCall(&context, {}, &reply), StatusCode::UNIMPLEMENTED);
}

static void check_metadata(const ClientContext &context)
{
    const auto &initial = context.GetServerInitialMetadata();
    const auto &trailing = context.GetServerTrailingMetadata();
    auto first = initial.find(ECHO_INITIAL);
    auto last = trailing.find(ECHO_TRAILING);

    check(first != initial.end() && first->second == "test_initial_metadata_value", "another initial metadata");
    check(last != trailing.end() && last->second == "\xab\xab\xab", "another trailing metadata");
}

static void add_metadata(ClientContext &context)
{
    context.AddMetadata(ECHO_INITIAL, "test_initial_metadata_value");
    context.AddMetadata(ECHO_TRAILING, "\xab\xab\xab");
}

static void custom_metadata(Stub &stub)
{
    Context unary;
    Context duplex;
    pb::SimpleResponse reply;
    pb::StreamingOutputCallResponse response;

    add_metadata(unary);
    check_status(stub.UnaryCall(&unary, large_request(), &reply), StatusCode::OK);
    check_metadata(unary);

    add_metadata(duplex);
    auto stream = stub.FullDuplexCall(&duplex);
    stream->Write(duplex_request(LARGE_RESPONSE, LARGE_REQUEST));
    stream->WritesDone();
    check(stream->Read(&response), "read");
    check(!stream->Read(&response), "one message too many");
    check_status(stream->Finish(), StatusCode::OK);
    check_metadata(duplex);
}

static void rpc_soak(Stub &stub)
{
    for (int i = 0; i < SOAK_ROUNDS; i++) {
        large_unary(stub);
    }
}

static void channel_soak(Stub &)
{
    for (int i = 0; i < SOAK_ROUNDS; i++) {
        large_unary(*pb::TestService::NewStub(open_channel()));
    }
}

static const std::map<std::string, std::function<void(Stub &)>> CASES = {
#define CASE(name)  \
    {               \
#name, name \
    }
    CASE(empty_unary),
    CASE(large_unary),
    CASE(client_streaming),
    CASE(server_streaming),
    CASE(ping_pong),
    CASE(empty_stream),
    CASE(cancel_after_begin),
    CASE(cancel_after_first_response),
    CASE(timeout_on_sleeping_server),
    CASE(status_code_and_message),
    CASE(special_status_message),
    CASE(unimplemented_method),
    CASE(unimplemented_service),
    CASE(custom_metadata),
    CASE(rpc_soak),
    CASE(channel_soak),
#undef CASE
};

static std::string quoted(const std::string &text)
{
    std::string out = "\"";

    for (char c : text) {
        out += c == '"' || c == '\\' || static_cast<unsigned char>(c) < ' ' ? '?' : c;
    }
    return out + "\"";
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        std::cerr << "usage: interop_client HOST:PORT CASE...\n";
        return 2;
    }
    target = argv[1];
    auto stub = pb::TestService::NewStub(open_channel());
    for (int i = 2; i < argc; i++) {
        std::string why;
        try {
            CASES.at(argv[i])(*stub);
        } catch (const std::exception &error) {
            why = error.what();
            why += why.empty() ? "failed" : "";
        }
        std::cout << "{\"case\": " << quoted(argv[i]) << ", \"ok\": " << (why.empty() ? "true" : "false")
                  << ", \"why\": " << quoted(why) << "}" << std::endl;
    }
    return 0;
}
