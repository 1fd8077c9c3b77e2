add_executable(tokenize ingest/tokenize.cpp)
target_link_libraries(tokenize PRIVATE tributary_ingest)
add_script_test(ingest.tokenizer_equals_hugging_face ingest/tokenizer_equals_hugging_face.py PROCESSORS 1 ARGS $<TARGET_FILE:tokenize>)
