// SPDX-License-Identifier: Apache-2.0
// gRPC's interop service in C++: interop_server PORT. Prints "ready" when it listens; ends with its standard input.
#include <grpcpp/grpcpp.h>

#include <iostream>
#include <string>
#include <thread>

#include "interop.grpc.pb.h"

using grpc::ServerContext;
using grpc::Status;
namespace pb = grpc::testing;

using OutputWriter = grpc::internal::WriterInterface<pb::StreamingOutputCallResponse>;

static void echo_metadata(ServerContext *context)
{
    const auto &sent = context->client_metadata();
    auto initial = sent.find("x-grpc-test-echo-initial");
    auto trailing = sent.find("x-grpc-test-echo-trailing-bin");

    if (initial != sent.end()) {
        context->AddInitialMetadata("x-grpc-test-echo-initial", std::string(initial->second.data(), initial->second.size()));
    }
    if (trailing != sent.end()) {
        context->AddTrailingMetadata("x-grpc-test-echo-trailing-bin",
                                     std::string(trailing->second.data(), trailing->second.size()));
    }
}

template <class Request> static Status asked_status(const Request &request)
{
    const auto &status = request.response_status();
    return status.code() == 0 ? Status::OK : Status(static_cast<grpc::StatusCode>(status.code()), status.message());
}

static void send_outputs(const pb::StreamingOutputCallRequest &request, OutputWriter *writer)
{
    for (const auto &parameters : request.response_parameters()) {
        pb::StreamingOutputCallResponse response;

        std::this_thread::sleep_for(std::chrono::microseconds(parameters.interval_us()));
        response.mutable_payload()->set_body(std::string(static_cast<size_t>(parameters.size()), '\0'));
        if (!writer->Write(response)) {
            return;
        }
    }
}

class InteropService : public pb::TestService::Service
{
    Status EmptyCall(ServerContext *context, const pb::Empty *, pb::Empty *) override
    {
        echo_metadata(context);
        return Status::OK;
    }

    Status UnaryCall(ServerContext *context, const pb::SimpleRequest *request, pb::SimpleResponse *response) override
    {
        echo_metadata(context);
        response->mutable_payload()->set_body(std::string(static_cast<size_t>(request->response_size()), '\0'));
        return asked_status(*request);
    }

    Status StreamingOutputCall(ServerContext *, const pb::StreamingOutputCallRequest *request,
                               grpc::ServerWriter<pb::StreamingOutputCallResponse> *writer) override
    {
        send_outputs(*request, writer);
        return asked_status(*request);
    }

    Status StreamingInputCall(ServerContext *, grpc::ServerReader<pb::StreamingInputCallRequest> *reader,
                              pb::StreamingInputCallResponse *response) override
    {
        pb::StreamingInputCallRequest request;
        size_t total = 0;

        while (reader->Read(&request)) {
            total += request.payload().body().size();
        }
        response->set_aggregated_payload_size(static_cast<int>(total));
        return Status::OK;
    }

    Status
    FullDuplexCall(ServerContext *context,
                   grpc::ServerReaderWriter<pb::StreamingOutputCallResponse, pb::StreamingOutputCallRequest> *stream) override
    {
        pb::StreamingOutputCallRequest request;

        echo_metadata(context);
        while (stream->Read(&request)) {
            Status status = asked_status(request);
            if (!status.ok()) {
                return status;
            }
            send_outputs(request, stream);
        }
        return Status::OK;
    }
};

int main(int argc, char **argv)
{
    InteropService service;
    grpc::ServerBuilder builder;
    std::string line;
    int port = 0;

    if (argc != 2) {
        std::cerr << "usage: interop_server PORT\n";
        return 2;
    }
    builder.AddListeningPort(std::string("0.0.0.0:") + argv[1], grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service);
    auto server = builder.BuildAndStart();
    if (!server || port == 0) {
        std::cerr << "cannot listen on " << argv[1] << "\n";
        return 1;
    }
    std::cout << "ready" << std::endl;
    while (std::getline(std::cin, line)) {
    }
    server->Shutdown(std::chrono::system_clock::now());
    return 0;
}
