add_executable(write_predictions "${CMAKE_CURRENT_SOURCE_DIR}/metrics/write_predictions.cpp")
target_link_libraries(write_predictions PRIVATE tributary_metrics)
add_script_test(metrics.recomputed_from_predictions_agree metrics/recompute.py ARGS --write $<TARGET_FILE:write_predictions> PROCESSORS 1)
